"""The updates of policy extraction: of actor and critics, and of what keeps them near the data."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from mjxwm.algos import pwm
from mjxwm.algos.multitask import disagreement, in_sample
from mjxwm.algos.multitask.config import Extract
from mjxwm.algos.multitask.disagreement import Ensemble
from mjxwm.algos.multitask.pessimism import OfQs, Pessimistic
from mjxwm.algos.pwm import Learner
from mjxwm.data import Windows, replay
from mjxwm.data.replay import Sequence
from mjxwm.maths import finite
from mjxwm.models import actor_critic
from mjxwm.models.actor_critic import Actor, Critic
from mjxwm.models.nets import MLP
from mjxwm.models.world_model import Conditioned, Imagined
from mjxwm.types import Metrics


class TrainState(NamedTuple):
    """Everything that changes during training; this is what a checkpoint holds."""

    iteration: Int[Array, ""]
    learner: Learner
    """PWM's learner; its world model is the pre-trained one, conditioned on the task."""
    q: MLP | None
    """The pre-trained ensemble of Q functions; None unless pessimism is used."""
    key: PRNGKeyArray
    ensemble: Ensemble | None = None
    """The ensemble of dynamics; None unless its disagreement is used."""


_Learned = tuple[Learner, Ensemble | None]


def iterate(
    config: Extract, pwm_config: pwm.Config, tx: Any, state: TrainState, windows: Windows
) -> tuple[TrainState, Metrics]:
    """An update on each of K batches."""
    key, key_updates = jax.random.split(state.key)
    tx_ensemble = disagreement.optimizer(config.critic_lr)

    def step(carry: _Learned, batch: tuple[Windows, Any]) -> tuple[_Learned, Metrics]:
        learner, ensemble = carry
        rows, key = batch
        sequence = replay.from_flags(rows.obs, rows.action, rows.reward, rows.flags)
        metrics: Metrics = {}
        if config.finetune:
            learner, metrics = pwm.update_model(pwm_config, tx, learner, sequence)
            learner = learner._replace(model=_project_embedding(learner.model))
        model: Any = learner.model
        if ensemble is not None:
            ensemble, more = disagreement.update(tx_ensemble, ensemble, model, sequence)
            metrics = {**metrics, **more}
            wary = disagreement.wary(pwm_config, learner, ensemble, config.disagreement)
            learner = learner._replace(model=wary)
        elif state.q is not None:
            # Qs are returns, about 1 / (1 - gamma) rewards; this is the penalty on one reward.
            weight = jnp.asarray(config.pessimism * (1 - pwm_config.gamma))
            learner = learner._replace(model=Pessimistic(model, OfQs(state.q), weight))
        update = _on_data if config.imitation or config.data_values else _in_imagination
        learner, more = update(config, pwm_config, tx, learner, sequence, key)
        return (learner._replace(model=model), ensemble), {**metrics, **more}

    keys = jax.random.split(key_updates, windows.task.shape[0])
    learner = pwm.learner.packed(tx, state.learner)
    carry = (learner, state.ensemble)
    (learner, ensemble), metrics = jax.lax.scan(step, carry, (windows, keys))
    learner = pwm.learner.unpacked(tx, learner)
    state = state._replace(
        iteration=state.iteration + 1, learner=learner, key=key, ensemble=ensemble
    )
    return state, finite.over_updates(metrics)


def _in_imagination(
    config: Extract, pwm_config: pwm.Config, tx: Any, learner: Learner, windows: Sequence, key: Any
) -> tuple[Learner, Metrics]:
    """Actor through the model, critics on imagined rollouts: PWM's updates."""
    learner, imagined, metrics = pwm.update_actor(pwm_config, tx, learner, windows, key)

    def lowered(critic: Critic) -> Array:
        return config.conservatism * optimism(critic, learner, imagined, windows)

    extra = lowered if config.conservatism else None
    learner, critic_metrics = pwm.update_critic(pwm_config, tx, learner, imagined, windows, extra)
    return learner, {**metrics, **critic_metrics}


def _on_data(
    config: Extract, pwm_config: pwm.Config, tx: Any, learner: Learner, windows: Sequence, key: Any
) -> tuple[Learner, Metrics]:
    """Critics on the data's steps, then the actor through the model and by imitation."""
    learner, data_actions, critic_metrics = in_sample.update(
        pwm_config, config.expectile, config.temperature, tx, learner, windows
    )

    def imitation_loss(actor: Actor) -> Array:
        return config.imitation * data_actions.distance(actor)

    extra = imitation_loss if config.imitation else None
    learner, _, metrics = pwm.update_actor(pwm_config, tx, learner, windows, key, extra)
    return learner, {**metrics, **critic_metrics}


def optimism(
    critic: Critic, learner: Learner, imagined: Imagined, windows: Sequence
) -> Float[Array, ""]:
    """How much higher the critics value the imagined states than those of the data.

    As a loss it makes critics conservative: a state is worth what its rewards say only if the data
    have it (COMBO, Yu et al. 2021, arXiv 2102.08363, there of Qs).
    """
    reached = jax.lax.stop_gradient(imagined.z[1:])
    real = jax.lax.stop_gradient(pwm.encode(learner, windows.obs))
    return actor_critic.values(critic, reached).mean() - actor_critic.values(critic, real).mean()


def _project_embedding(model: Any) -> Conditioned:
    """The model with its task embedding scaled down to a norm of at most 1, as in pre-training."""
    norm = jnp.linalg.norm(model.embedding)
    return model._replace(embedding=model.embedding / jnp.maximum(norm, 1))
