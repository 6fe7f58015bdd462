"""The bodies of 152 muscles: what they are made of, against the unreduced models they come from."""

import importlib

import mujoco
import numpy as np
import pytest
from mjxwm_envs.tasks.locomotion import muscle_body
from mjxwm_envs.tasks.locomotion.muscle_body import poses

pytest.importorskip("myo_sim")
BODIES = tuple(muscle_body.BODIES)
REDUCED = ("direct", "muscle", "legs")
MASS = 74.97515581398696  # [kg] of myo-sim's legs and trunk, without arms


def at_start(body: str) -> tuple[mujoco.MjModel, mujoco.MjData]:
    model = muscle_body.model(body)
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    mujoco.mj_forward(model, data)
    return model, data


@pytest.mark.parametrize(
    ("body", "positions", "activations", "couplings"),
    [("direct", 24, 0, 0), ("muscle", 24, 152, 0), ("legs", 21, 0, 0), ("full", 53, 152, 29)],
)
def test_sizes_and_mass(body, positions, activations, couplings):
    model = muscle_body.model(body)
    assert (model.nu, model.nq, model.na, model.neq) == (152, positions, activations, couplings)
    assert model.nmesh == 0
    assert model.body_mass.sum() == pytest.approx(MASS, rel=1e-12)


def test_the_mass_and_its_centre_are_those_of_the_source():
    compose = importlib.import_module("myo_sim.build.compose")
    trunk = compose.build_torso_spec(compose.MODEL_REGISTRY["myotorso"])
    parts = [compose.build_legs_spec().compile(), trunk.compile()]
    assert sum(part.body_mass.sum() for part in parts) == pytest.approx(MASS, rel=1e-12)
    _, full = at_start("full")
    for body in REDUCED:
        model, data = at_start(body)
        np.testing.assert_allclose(data.subtree_com[0], full.subtree_com[0], atol=1e-9)
        # Fused parts keep their joint inertia: that of the whole body about the root's axes.
        np.testing.assert_allclose(inertia(model, data), inertia(*at_start("full")), rtol=1e-6)


def inertia(model, data) -> np.ndarray:
    """The rotational part of the composite inertia at the root [kg m^2], without armature."""
    dense = np.zeros((model.nv, model.nv))
    mujoco.mj_fullM(model, data, dense)
    return dense[3:6, 3:6]


@pytest.mark.parametrize("body", BODIES)
def test_muscles_by_group(body):
    names = [muscle_body.model(body).actuator(i).name for i in range(152)]
    leg = {side: sum(n.startswith("leg/") and f"_{side}" in n for n in names) for side in "rl"}
    assert leg == ({"r": 76, "l": 76} if body == "legs" else {"r": 40, "l": 40})
    assert sum(n.startswith("trunk/") for n in names) == (0 if body == "legs" else 72)


@pytest.mark.parametrize("body", BODIES)
def test_spheres_and_capsules_may_touch_the_floor_and_nothing_else(body):
    model = muscle_body.model(body)
    floor = model.geom("floor").id
    touching = np.flatnonzero(model.geom_contype)
    assert (model.geom_conaffinity != 0).tolist() == (np.arange(model.ngeom) == floor).tolist()
    kinds = {mujoco.mjtGeom(int(kind)).name for kind in model.geom_type[touching]}
    assert kinds == {"mjGEOM_SPHERE", "mjGEOM_CAPSULE"}
    names = {model.geom(int(g)).name for g in touching}
    feet = {f"{part}_{side}" for side in "rl" for part in ("foot_col1", "foot_col3")}
    feet |= {f"bofoot_col{i}_{side}" for side in "rl" for i in (1, 2)}
    assert names == feet | {"seat", "chest", "head", "knee_r", "knee_l"}


@pytest.mark.parametrize("body", BODIES)
def test_it_starts_upright_facing_forwards_on_its_feet(body):
    model, data = at_start(body)
    np.testing.assert_array_equal(data.qpos[3:7], [1, 0, 0, 0])
    assert data.body("leg/toes_r").xpos[0] > data.body("leg/calcn_r").xpos[0] + 0.1
    assert data.body("leg/femur_l").xpos[1] > 0 > data.body("leg/femur_r").xpos[1]
    head = data.geom("head").xpos
    np.testing.assert_allclose(head[:2], data.subtree_com[0, :2], atol=0.1)
    assert 1.5 < head[2] < 1.7
    # Distances by MuJoCo's collision functions, not by the formula that placed the body.
    floor, touching = model.geom("floor").id, np.flatnonzero(model.geom_contype)
    gaps = [mujoco.mj_geomDistance(model, data, floor, g, 5, None) for g in touching]
    assert min(gaps) == pytest.approx(0.001, abs=1e-6)
    lowest = model.geom(int(touching[np.argmin(gaps)])).name
    assert "foot" in lowest


def test_the_full_body_starts_on_its_couplings():
    _, data = at_start("full")
    assert data.ne == 29
    assert np.abs(data.efc_pos[: data.ne]).max() < 1e-12


# Reduction against the unreduced body. Moment arms: how fast a tendon lengthens [m/rad].


def dense_moment(model, data) -> np.ndarray:
    moment = np.zeros((model.nu, model.nv))
    rows = data.moment_rownnz, data.moment_rowadr, data.moment_colind
    mujoco.mju_sparse2dense(moment, data.actuator_moment, *rows)
    return moment


def arms(body: str, joints: dict[str, float]) -> dict[str, np.ndarray]:
    """Moment arms [152] of all muscles about each leading joint, its followers moving along."""
    model = muscle_body.model(body)
    data = poses.data(model, joints)
    moment, c = dense_moment(model, data), poses.couplings(model)
    leaders = [j for j in range(1, model.njnt) if j not in c.follower]
    along = {j: np.eye(model.nv)[model.jnt_dofadr[j]] for j in leaders}
    slopes = c.slope(data.qpos[model.jnt_qposadr[c.leader]])
    for follower, leader, slope in zip(c.follower, c.leader, slopes, strict=True):
        if leader != follower:
            along[leader][model.jnt_dofadr[follower]] = slope
    return {model.joint(j).name: moment @ direction for j, direction in along.items()}


def both(joint: str, angle: float) -> dict[str, float]:
    return {f"leg/{joint}_{side}": angle for side in "rl"}


# Some of these angles were fitted to (paths.py), the others lie between.
LEG_POSES = [
    {},
    both("hip_flexion", 0.8),
    both("hip_flexion", 1.2),
    both("knee_angle", 0.7),
    both("knee_angle", 1.2),
    both("hip_adduction", -0.2) | both("hip_rotation", 0.2) | both("hip_flexion", 0.3),
    both("ankle_angle", -0.2) | both("subtalar_angle", 0.2) | both("mtp_angle", 0.3),
    both("hip_flexion", 0.6) | both("knee_angle", 0.8) | both("ankle_angle", 0.2),
]


@pytest.fixture(scope="module")
def arm_errors() -> dict[str, np.ndarray]:
    """By joint: |difference| [poses, muscles] in mm, and the unreduced arms themselves."""
    pairs = [(arms("muscle", pose), arms("full", pose)) for pose in LEG_POSES]
    return {
        joint: 1000 * np.abs(np.stack([ours[joint] - true[joint] for ours, true in pairs]))
        for joint in pairs[0][0]
    }


def muscle(name: str) -> int:
    return muscle_body.model("full").actuator(name).id


def test_both_bodies_name_their_muscles_alike():
    ours, full = (muscle_body.model(body) for body in ("muscle", "full"))
    assert [ours.actuator(i).name for i in range(152)] == [
        full.actuator(i).name for i in range(152)
    ]


def test_moment_arms_of_hip_and_foot_are_those_of_the_unreduced_legs(arm_errors):
    # The iliacus slides over the brim of the pelvis, which no fixed points can do.
    sliding = [muscle(f"leg/iliacus_{side}") for side in "rl"]
    for joint, errors in arm_errors.items():
        if joint[4:-2] in ("ankle_angle", "subtalar_angle", "mtp_angle"):
            assert errors.max() < 0.5, joint
        if joint.startswith("leg/hip"):
            assert np.delete(errors, sliding, axis=1).max() < 2.3, joint
            assert errors[:, sliding].max() < 9, joint


def test_moment_arms_of_the_knee_are_near_those_of_the_unreduced_legs(arm_errors):
    # The true knee also slides and twists as it bends; its mean arm is 30 mm.
    for side in "rl":
        joint, crossing = f"leg/knee_angle_{side}", np.zeros(152, bool)
        for pose in LEG_POSES:
            crossing |= np.abs(arms("full", pose)[joint]) > 0.001
        assert crossing.sum() == 13
        assert arm_errors[joint][:, crossing].mean() < 6.5
        assert arm_errors[joint].max() < 15


def test_no_leg_muscle_pulls_the_other_way(arm_errors):
    for pose in LEG_POSES:
        ours, true = arms("muscle", pose), arms("full", pose)
        for joint, arm in ours.items():
            matter = (np.abs(true[joint]) > 0.003) & (np.abs(arm) > 0.003)
            if joint.startswith("leg/"):
                assert (arm * true[joint] >= 0)[matter].all(), (joint, pose)


def test_the_spine_is_one_joint_for_five():
    # Per radian that the thorax turns: the true spine's joint turns it by more than its own angle.
    full = muscle_body.model("full")
    c = poses.couplings(full)
    ours, true = arms("muscle", {}), arms("full", {})
    for joint, follower in (
        ("flex_extension", "_FE"),
        ("lat_bending", "_LB"),
        ("axial_rotation", "_AR"),
    ):
        of = [full.joint(int(j)).name.endswith(follower) for j in c.follower]
        turned = 1 + c.coefficients[of, 1].sum()
        trunk = slice(80, 152)
        right, found = true[f"trunk/{joint}"][trunk] / turned, ours[f"trunk/{joint}"][trunk]
        assert np.abs(found - right).mean() < 0.015
        assert np.corrcoef(found, right)[0, 1] > 0.9


def test_tendons_are_as_stretched_as_in_the_unreduced_body():
    (ours, in_ours), (full, in_full) = at_start("muscle"), at_start("full")
    low, high = ours.actuator_lengthrange.T
    stretch = (in_ours.actuator_length - low) / (high - low)
    low, high = full.actuator_lengthrange.T
    np.testing.assert_allclose(stretch, (in_full.actuator_length - low) / (high - low), atol=0.1)


def test_the_direct_law_is_a_share_of_the_peak_force_at_any_length_and_speed():
    rng = np.random.default_rng(0)
    model, full = muscle_body.model("direct"), muscle_body.model("full")
    data = mujoco.MjData(model)
    for _ in range(5):
        data.qpos[7:] = rng.uniform(*model.jnt_range[1:].T)
        data.qvel[:] = rng.normal(size=model.nv)
        data.ctrl[:] = rng.uniform(size=152)
        mujoco.mj_forward(model, data)
        peak = full.actuator_gainprm[:, 2]
        np.testing.assert_allclose(data.actuator_force, -0.36 * peak * data.ctrl, rtol=1e-12)
    assert peak.sum() == pytest.approx(99_011, abs=1)  # [N]


def test_two_fibres_pull_together_like_the_muscle_that_they_were():
    fibres, whole = muscle_body.model("legs"), muscle_body.model("direct")
    forces = {}
    for i in range(152):
        name, gain = fibres.actuator(i).name, fibres.actuator_gainprm[i, 0]
        forces.setdefault(name.partition(".")[0], []).append((i, gain))
    assert sorted(len(parts) for parts in forces.values()) == 8 * [1] + 72 * [2]
    in_pose = both("hip_flexion", 0.4) | both("knee_angle", 0.6) | both("ankle_angle", 0.2)
    fibre_arms, arm = arms("legs", in_pose), arms("direct", in_pose)
    for name, parts in forces.items():
        ids, gains = zip(*parts, strict=True)
        i = whole.actuator(name).id
        assert sum(gains) == pytest.approx(whole.actuator_gainprm[i, 0], rel=1e-12)
        for joint, values in fibre_arms.items():
            assert values[list(ids)].mean() == pytest.approx(arm[joint][i], abs=0.001), name
