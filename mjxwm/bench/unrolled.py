"""The peer that the implicit gradient is measured against: solver iterations, unrolled by a scan.

Stock MJX finds the constraint forces in a `while_loop`, which reverse mode cannot cross. The usual
remedy is a scan of a fixed number of iterations, which stops moving once it has converged (so do
the pull requests to MJX, and MJX's own line search), and backpropagation through every one of them.
"""

import jax
import jax.numpy as jnp
import mujoco
from mjxwm_envs.engines import solver
from mjxwm_envs.engines.mjx import Mjx
from mujoco import mjx
from mujoco.mjx._src import math
from mujoco.mjx._src import solver as stock


class Unrolled(Mjx):
    """The engine `mjx` with another gradient: through `iterations` of Newton's method."""

    def __init__(self, model: mujoco.MjModel, n_substeps: int, derived: tuple[str, ...], n: int):
        """Args:
            model: compiled model; its solver must be Newton's.
            n_substeps: physics steps per control step.
            derived: see `Mjx`.
            n: iterations of each solve.

        Raises:
            ValueError: the solver is another, or the integrator calls it within itself.
        """
        if model.opt.solver != mujoco.mjtSolver.mjSOL_NEWTON:
            raise ValueError("the unrolled solver is Newton's; set solver='Newton' in <option>")
        if model.opt.integrator == mujoco.mjtIntegrator.mjINT_RK4:
            raise ValueError("the unrolled solver is not available with the integrator RK4")
        super().__init__(model, n_substeps, derived)
        self.iterations = n

    def _dynamics(self, model: mjx.Model, data: mjx.Data) -> mjx.Data:
        def unrolled(model: mjx.Model, data: mjx.Data) -> mjx.Data:
            return solve(model, data, self.iterations)

        return solver.INTEGRATORS[model.opt.integrator](
            model, solver.forward(model, data, unrolled, self._plan)
        )


def solve(model: mjx.Model, data: mjx.Data, iterations: int) -> mjx.Data:
    """`mujoco.mjx` solver.solve by Newton's method, as a scan of `iterations`."""

    def cost(qacc: jax.Array) -> jax.Array:
        return stock.Context.create(model, data.replace(qacc=qacc), grad=False).cost

    def going_on(context: stock.Context) -> jax.Array:
        improvement = stock._rescale(model, data, context.prev_cost - context.cost)
        gradient = stock._rescale(model, data, math.norm(context.grad))
        return (improvement >= model.opt.tolerance) & (gradient >= model.opt.tolerance)

    def newton(context: stock.Context, _: None) -> tuple[stock.Context, None]:
        after = stock._linesearch(model, data, context)
        after = stock._update_gradient(model, data, stock._update_constraint(model, data, after))
        after = after.replace(search=-after.Mgrad, solver_niter=context.solver_niter + 1)
        keep = going_on(context)
        return jax.tree.map(lambda new, old: jnp.where(keep, new, old), after, context), None

    warm, cold = jax.lax.stop_gradient(data.qacc_warmstart), data.qacc_smooth
    start = jnp.where(cost(warm) < cost(cold), warm, cold)
    context = stock.Context.create(model, data.replace(qacc=start))
    context, _ = jax.lax.scan(newton, context, None, iterations)
    fields = {"qacc": context.qacc, "qfrc_constraint": context.qfrc_constraint}
    return data.tree_replace(fields | {"_impl.efc_force": context.efc_force})
