"""The multi-task path on data made up for it: pre-training, extraction, and what is refused."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import numpy as np
import pytest

from mjxwm import cli, data
from mjxwm.algos import multitask
from mjxwm.algos.multitask import extract, pessimism, pretrain, task_set
from mjxwm.data import Rows, Writer
from mjxwm.runs import build, loop, pretrained, record, start
from mjxwm.types import Sizes

TASKS = "pendulum-swingup,reacher-easy"
PRESET = multitask.Config(
    tasks=TASKS,
    pretrain=multitask.Pretrain(
        size="1M", task_size=4, latent=16, normalize=True, updates=60, batch=8, horizon=2,
        updates_per_iteration=10,
    ),
    extract=multitask.Extract(
        updates=20, batch=8, horizon=2, critic_steps=1, updates_per_iteration=5,
        policy=dataclasses.replace(multitask.Extract().policy, actor=(8,), critic=(8,), critics=2),
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A data set of two tasks in which the reward is the first action."""
    path = tmp_path_factory.mktemp("multitask")
    rng = np.random.default_rng(0)
    for task in task_set(TASKS):
        with Writer(path / "data", task) as writer:
            action = rng.uniform(-1, 1, (400, task.action_size)).astype(np.float32)
            obs = rng.normal(3, 0.05, (400, task.obs_size)).astype(np.float32)
            writer.add(Rows(obs, action, action[:, 0].copy(), np.zeros(400, np.uint8)))
    return path


def preset(folder):
    return dataclasses.replace(PRESET, data=str(folder / "data"))


@pytest.fixture(scope="module")
def model(folder):
    """The model's run, learned in two parts."""
    trainer = build.build(pretrained.config_of(pretrain.card_of_preset(preset(folder))))
    run = start.new_run(trainer, "mine", "model", folder)
    first = loop.train(trainer, run, stop_at=3)
    assert (first.iteration, first.finished) == (3, False)
    result = loop.resume(run)
    assert (result.iteration, result.finished, result.evaluation) == (6, True, None)
    return run.path


def test_pretraining_learns_and_can_be_resumed(model):
    loaded = pretrained.load(model)
    assert loaded.updates == 60
    assert [task.name for task in loaded.card.tasks] == TASKS.split(",")
    rows = record.read(model / "metrics.jsonl")
    assert [row["updates"] for row in rows] == [10, 20, 30, 40, 50, 60]
    assert rows[-1]["model/reward"] < 0.95 * rows[0]["model/reward"]
    norms = jnp.linalg.norm(loaded.networks.embedding, axis=1)
    assert (norms <= 1 + 1e-6).all()


def test_the_networks_of_a_task_take_its_own_sizes(model):
    nets = pretrained.load(model).for_task("pendulum-swingup")
    obs = jnp.ones((5, 3))
    padded = jnp.concatenate([obs, jnp.zeros((5, 3))], axis=1)
    z = nets.model.encode(obs)
    np.testing.assert_array_equal(z, nets.model.encode(padded))
    action = jnp.full((5, 1), 0.5)
    both = jnp.concatenate([action, jnp.full((5, 1), jnp.nan)], axis=1)
    np.testing.assert_array_equal(nets.model.predict(z, action), nets.model.predict(z, both))


def test_observations_are_seen_in_deviations_of_their_tasks_data(folder, model):
    task = "pendulum-swingup"
    obs = data.open_data(folder / "data").of((task,)).chunks[0].map()["obs"]
    task_model = pretrained.load(model).for_task(task).model
    assert task_model.obs is not None
    normalized = (obs - obs.mean(axis=0)) / np.sqrt(obs.var(axis=0) + 1e-5)
    np.testing.assert_allclose(
        task_model.encode(obs),
        task_model._replace(obs=None).encode(normalized),
        rtol=1e-3,
        atol=1e-6,
    )
    # None of the padding may be divided by nothing.
    assert jnp.isfinite(task_model.encode(jnp.zeros((1, 3)))).all()


def algorithm(model, **changes):
    policy_config = dataclasses.replace(PRESET.extract, **changes)
    env = envs.make("pendulum-swingup", engine="native", action_repeat=2)
    return extract.make(
        extract.Config(str(model), settings=policy_config), env, pretrained.load(model)
    ), env


@pytest.mark.parametrize(
    "changes",
    [
        {"conservatism": 0.1},
        {"finetune": True, "pessimism": 2.0},
        {"imitation": 1.0},
        {"disagreement": 1.0, "data_values": True},
    ],
    ids=str,
)
def test_extraction_changes_what_it_should(model, changes):
    algo, env = algorithm(model, **changes)
    init: Any = algo.init
    state = init.lower(jax.random.key(0)).compile()(jax.random.key(0))  # as the loop calls it
    before = jax.tree.map(np.array, state.learner)
    with algo.batches(0) as batches:
        state, metrics = jax.jit(algo.iterate)(state, *next(batches))

    def moved(old, new):
        pairs = zip(jax.tree.leaves(old), jax.tree.leaves(new), strict=True)
        return any((np.asarray(a) != np.asarray(b)).any() for a, b in pairs)

    assert moved(before.actor, state.learner.actor)
    assert moved(before.critic, state.learner.critic)
    finetuned = "finetune" in changes
    assert moved(before.model.model, state.learner.model.model) == finetuned
    assert not moved(before.model.obs, state.learner.model.obs)
    assert (state.q is None) == ("pessimism" not in changes)
    assert all(np.isfinite(x) for x in metrics.values())
    assert ("model/loss" in metrics) == finetuned
    on_data = "imitation" in changes or "data_values" in changes
    assert ("imitation/effective_sample" in metrics) == on_data
    assert (state.ensemble is None) == ("disagreement" not in changes)
    obs = jnp.zeros((4, env.spec.obs_size))
    policy = algo.policy(state)
    assert algo.act(policy, obs).shape == (4, env.spec.action_size)
    # The card of one task is enough to run it elsewhere, without the model's run.
    alone = extract.agent(extract.Config(), Sizes.of(env.spec), algo.agent.card)
    assert [task.name for task in algo.agent.card.tasks] == [env.name]
    made = jax.eval_shape(alone.init, jax.random.key(0))
    same_shape = jax.tree.map(lambda a, b: a.shape == b.shape, made.model, policy.model)
    assert jax.tree.all(same_shape)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pessimism": 1.0, "imitation": 2.0}, "exclude each other: under imitation"),
        ({"pessimism": 1.0, "disagreement": 2.0}, "both lower rewards"),
        ({"conservatism": 1.0, "data_values": True}, "conservatism=1.0 has no effect"),
        ({"disagreement": 1.0, "ensemble": 9}, "ensemble=9"),
        ({"ensemble": 1}, "ensemble=1 is out of range"),
        ({"expectile": 1.0}, "expectile=1.0 is out of range"),
        ({"temperature": 0.0}, "temperature=0.0 is out of range"),
    ],
)
def test_settings_that_make_no_sense_are_refused(model, changes, message):
    with pytest.raises(ValueError, match=message):
        algorithm(model, **changes)


def test_pessimism_lowers_rewards_by_the_ensembles_deviation(model):
    nets = pretrained.load(model).for_task("reacher-easy")
    keys = jax.random.split(jax.random.key(1), len(jax.tree.leaves(nets.q)))
    leaves, tree = jax.tree.flatten(nets.q)
    apart = [x + 0.3 * jax.random.normal(k, x.shape) for x, k in zip(leaves, keys, strict=True)]
    q = jax.tree.unflatten(tree, apart)
    z = nets.model.encode(jnp.ones((3, 6)))
    action = jnp.full((3, 2), 0.3)
    wary = pessimism.Pessimistic(nets.model, pessimism.OfQs(q), jnp.asarray(0.5))
    values = nets._replace(q=q).values(z, action)
    assert (values.std(axis=0) > 0).all()
    np.testing.assert_allclose(
        wary.reward(z, action), nets.model.reward(z, action) - 0.5 * values.std(axis=0), rtol=1e-4
    )
    # Where all Qs are equal their deviation has no slope: no NaN may come of it.
    equal = jax.tree.map(lambda x: jnp.broadcast_to(x[:1], x.shape), q)
    same = wary._replace(doubt=pessimism.OfQs(equal))
    assert jnp.isfinite(jax.grad(lambda a: same.reward(z, a).sum())(action)).all()
    np.testing.assert_array_equal(wary.predict(z, action), nets.model.predict(z, action))


def run(*args):
    return cli.main([str(arg) for arg in args])


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            "extract walker-walk --model {model}",
            "task 'walker-walk' is not of this model, which knows: pendulum-swingup, reacher-easy",
        ),
        ("extract pendulum-swingup --model {folder}/none", "is not a model's run folder"),
        ("extract pendulum-swingup", "mjxwm extract TASK --model RUN"),
        ("extract pendulum-swingup --model {model} --data {folder}/none", "is not a data set"),
        ("extract pendulum-swingup --model {model} --lam 2", "lam=2.0"),
        ("extract pendulum-swingup --model {model} --seed -1", "seed=-1 is out of range"),
        (
            "extract pendulum-swingup --model {model} --finetune --horizon 500",
            "no chunk of pendulum-swingup has more than 400 rows; windows of 501 do not fit",
        ),
        ("pretrain mt4-cpu --tasks pendulum-swingup --data {folder}/data --latent 12", "latent=12"),
        ("pretrain mt4-cpu --tasks ,", "names no task"),
        ("pretrain mt4-cpu --data {model}/config.yaml", "is not a data set"),
        ("collect pwm-dmc-cpu --data {model}/config.yaml --folder {folder}", "is a file, not"),
        ("eval --suite reacher-easy --model {model} --episodes 0", "episodes=0 is out of range"),
        ("bench learner --sizes 1M --task-set mt4 --samples 0", "samples=0 is out of range"),
        ("bench learner --updates 0", "updates=0 is out of range"),
        ("bench learner --sizes 2M", "size '2M' is unknown"),
        ("bench planner --task-set mt5", "task set 'mt5' is unknown"),
        ("pretrain mt4-cpu --data {folder}/data", "no data of task 'walker-stand'; it has:"),
        ("pretrain mt4-cpu --data {folder}/none", "is not a data set"),
        ("pretrain mt4-cpu --tasks mt5", "task set 'mt5' is unknown"),
        ("pretrain mt4-cpu --batch 0", "batch=0 is out of range"),
        ("pretrain mt4", "multi-task preset 'mt4' is unknown (did you mean"),
        ("collect nothing-like-it", "multi-task preset 'nothing-like-it' is unknown"),
        ("collect mt4-cpu --only cup-catsh", "did you mean 'cup-catch'"),
        ("eval --suite mt30 --model {model}", "does not know walker-stand"),
        ("eval --suite mt5 --model {model}", "task set 'mt5' is unknown"),
    ],
)  # fmt: skip
def test_mistakes_are_said_in_a_line(folder, model, capsys, command, message):
    words = command.format(folder=folder, model=model).split()
    assert run(*words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    # Nothing half-made is left behind.
    assert {path.name for path in folder.iterdir()} <= {"data", "model"}


def test_a_data_set_with_other_sizes_of_a_task_is_refused(folder, tmp_path):
    with Writer(tmp_path, dataclasses.replace(task_set(TASKS)[0], obs_size=4)) as writer:
        zeros = functools.partial(np.zeros, dtype=np.float32)
        writer.add(Rows(zeros((9, 4)), zeros((9, 1)), zeros(9), np.zeros(9, np.uint8)))
    config = dataclasses.replace(
        PRESET, tasks="pendulum-swingup,", data=str(tmp_path)
    )  # a comma: a list of one
    with pytest.raises(ValueError, match=r"obs_size=4.* was expected"):
        pretrain.card_of_preset(dataclasses.replace(config, tasks="pendulum-swingup,"))


def test_a_model_of_all_tasks_that_a_data_set_has(tmp_path):
    task = data.TaskInfo("my_module:MyTask", 3, 2, 100)
    with Writer(tmp_path, task) as writer:
        zeros = functools.partial(np.zeros, dtype=np.float32)
        writer.add(Rows(zeros((9, 3)), zeros((9, 2)), zeros(9), np.zeros(9, np.uint8)))
    config = dataclasses.replace(PRESET, tasks="all", data=str(tmp_path))
    assert pretrain.card_of_preset(config).tasks == (task,)


@pytest.mark.slow
def test_from_nothing_to_a_table(tmp_path, capsys):
    file = tmp_path / "mine.yaml"
    file.write_text(
        f"""
tasks: {TASKS}
data: {tmp_path}/data
collect: {{preset: pwm-dmc-cpu, env_steps: 1500, seed: 3}}
pretrain: {{size: 1M, task_size: 4, updates: 10, batch: 8, horizon: 2, updates_per_iteration: 5}}
extract: {{updates: 10, batch: 8, horizon: 2, critic_steps: 1, updates_per_iteration: 5}}
"""
    )
    runs = ("--folder", tmp_path)
    assert run("collect", file, *runs) == 0
    assert data.open_data(tmp_path / "data").rows >= 2 * 1500
    assert (tmp_path / "mine-reacher-easy-3").is_dir()
    assert run("pretrain", file, *runs, "--run", "model") == 0
    model = tmp_path / "model"
    assert run("extract", "reacher-easy", "--model", model, *runs, "--episodes", 2) == 0
    capsys.readouterr()
    assert run("eval", "--suite", TASKS, "--model", model, "--episodes", 2) == 0
    table = capsys.readouterr().out
    assert "| pendulum-swingup | - | no policy yet: mjxwm extract pendulum-swingup" in table
    assert "| reacher-easy | " in table
    for who in ("prior", "planner"):
        options = ("--episodes", 2, "--who", who, "--json", tmp_path / "rows.json")
        assert run("eval", "--suite", "reacher-easy,", "--model", model, *options) == 0
