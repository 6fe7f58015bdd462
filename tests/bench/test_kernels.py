"""The meter of kernels on programs whose kernels are known, as XLA writes them."""

import math

import pytest

from mjxwm.bench.meter import hlo, kernels, pricing
from mjxwm.bench.meter.gpus import GPUS

H100 = GPUS["h100"]

ADD = """
%fused_add (a: f32[8,4], b: f32[4]) -> f32[8,4] {
  %a = f32[8,4]{1,0} parameter(0)
  %b = f32[4]{0} parameter(1)
  %wide = f32[8,4]{1,0} broadcast(%b), dimensions={1}
  ROOT %sum = f32[8,4]{1,0} add(%a, %wide), metadata={op_name="jit(f)/add (of two)"}
}
"""

STORE = """
%fused_store (whole: bf16[16,8,4], row: f32[8,4], step: s32[]) -> bf16[16,8,4] {
  %whole = bf16[16,8,4]{2,1,0} parameter(0)
  %row = f32[8,4]{1,0} parameter(1)
  %step = s32[] parameter(2)
  %zero = s32[] constant(0)
  %narrow = bf16[8,4]{1,0} convert(%row)
  %block = bf16[1,8,4]{2,1,0} bitcast(%narrow)
  ROOT %stored = bf16[16,8,4]{2,1,0} dynamic-update-slice(%whole, %block, %step, %zero, %zero)
}
"""

FETCH = """
%fused_fetch (all: f32[16,8,4], step: s32[]) -> f32[8,4] {
  %all = f32[16,8,4]{2,1,0} parameter(0)
  %step = s32[] parameter(1)
  %zero = s32[] constant(0)
  %flat = f32[16,32]{1,0} bitcast(%all)
  %one = f32[1,32]{1,0} dynamic-slice(%flat, %step, %zero), dynamic_slice_sizes={1,32}
  ROOT %view = f32[8,4]{1,0} bitcast(%one)
}
"""

PRODUCT = """
%fused_product (x: bf16[32,64], w: bf16[64,16]) -> f32[32,16] {
  %x = bf16[32,64]{1,0} parameter(0)
  %w = bf16[64,16]{1,0} parameter(1)
  ROOT %dot.1 = f32[32,16]{1,0} dot(%x, %w), lhs_contracting_dims={1}, rhs_contracting_dims={0}
}
"""


def program(body, *computations):
    """A module whose entry has these lines."""
    lines = "\n".join(f"  {line}" for line in body.strip().splitlines())
    return "\n".join(
        ["HloModule jit_f", *computations, "ENTRY %main (p: f32[]) -> f32[] {", lines, "}"]
    )


def only(text):
    ((kernel, times),) = kernels.of(text).runs.items()
    return kernel, times


def test_a_fusion_reads_its_inputs_once_and_writes_its_result():
    text = program(
        """
%x = f32[8,4]{1,0} parameter(0)
%y = f32[4]{0} parameter(1)
ROOT %loop_add_fusion.7 = f32[8,4]{1,0} fusion(%x, %y), kind=kLoop, calls=%fused_add
""",
        ADD,
    )
    assert only(text) == (kernels.Kernel("loop_add_fusion", kernels.ELEMENTWISE, 128 + 16, 128), 1)


def test_a_store_of_one_step_moves_that_step_alone():
    """In place, in the type that is stored: 32 numbers of 2 bytes, not the whole of 1024."""
    text = program(
        """
%x = bf16[16,8,4]{2,1,0} parameter(0)
%y = f32[8,4]{1,0} parameter(1)
%n = s32[] parameter(2)
%fusion.1 = bf16[16,8,4]{2,1,0} fusion(%x, %y, %n), kind=kLoop, calls=%fused_store
""",
        STORE,
    )
    assert only(text)[0] == kernels.Kernel("fusion", kernels.STORE, 32 * 4 + 4, 32 * 2)


def test_a_fetch_of_one_step_reads_that_step_alone():
    text = program(
        """
%x = f32[16,8,4]{2,1,0} parameter(0)
%n = s32[] parameter(1)
%fusion = f32[8,4]{1,0} fusion(%x, %n), kind=kLoop, calls=%fused_fetch
""",
        FETCH,
    )
    kernel, _ = only(text)
    assert (kernel.kind, kernel.read, kernel.written) == (kernels.COPY, 32 * 4 + 4, 32 * 4)


def test_a_loop_counts_as_often_as_it_runs():
    """Loops in loops multiply; of a loop of unknown length one turn counts, its condition, and the
    host, which waits for it."""
    body = """
%body{n} (p: (s32[], f32[8,4])) -> (s32[], f32[8,4]) {{
  %p = (s32[], f32[8,4]{{1,0}}) parameter(0)
  %i = s32[] get-tuple-element(%p), index=0
  %x = f32[8,4]{{1,0}} get-tuple-element(%p), index=1
  {step}
  ROOT %t = (s32[], f32[8,4]{{1,0}}) tuple(%i, %y)
}}"""
    condition = """
%condition (p: (s32[], f32[8,4])) -> pred[] {
  %p = (s32[], f32[8,4]{1,0}) parameter(0)
  %i = s32[] get-tuple-element(%p), index=0
  ROOT %more = pred[] fusion(%i), kind=kLoop, calls=%anything
}"""
    loop = (
        "%{to} = (s32[], f32[8,4]{{1,0}}) while(%{of}), condition=%condition, body=%body{n}{known}"
    )
    known = ', backend_config={"known_trip_count":{"n":"%d"}}'
    inner = body.format(n=1, step="%y = f32[8,4]{1,0} copy(%x)")
    step = loop.format(to="y", of="p", n=1, known=known % 4)
    outer = body.format(n=2, step="%z = f32[8,4]{1,0} negate(%x)\n  " + step)
    start = "%s = (s32[], f32[8,4]{1,0}) parameter(0)\n"
    text = program(
        start + loop.format(to="w", of="s", n=2, known=known % 3), condition, inner, outer
    )
    found = kernels.of(text)
    assert found.by_kind() == {kernels.COPY: 12, kernels.ELEMENTWISE: 3}
    assert (found.count, found.open_loops) == (15, 0)
    text = program(start + loop.format(to="w", of="s", n=2, known=""), condition, inner, outer)
    found = kernels.of(text)
    assert found.by_kind() == {kernels.COPY: 4, kernels.ELEMENTWISE: 2, kernels.WAIT: 1}
    assert (found.count, found.open_loops) == (6, 1)


def test_a_conditional_counts_its_longest_branch():
    branch = "\n%branch{n} (p: f32[4]) -> f32[4] {{\n  %p = f32[4]{{0}} parameter(0)\n{lines}\n}}"
    short = branch.format(n=0, lines="  ROOT %c = f32[4]{0} copy(%p)")
    both = "  %c = f32[4]{0} copy(%p)\n  ROOT %d = f32[4]{0} negate(%c)"
    text = program(
        """
%i = s32[] parameter(0)
%x = f32[4]{0} parameter(1)
%y = f32[4]{0} conditional(%i, %x, %x), branch_computations={%branch0, %branch1}
""",
        short,
        branch.format(n=1, lines=both),
    )
    assert kernels.of(text).by_kind() == {kernels.COPY: 1, kernels.ELEMENTWISE: 1, kernels.WAIT: 1}


def test_what_runs_no_kernel():
    """Names and views of memory, constants, and arrays without elements."""
    text = program("""
%x = f32[0,4]{1,0} parameter(0)
%c = f32[2]{0} constant({1, 2})
%b = f32[1,2]{1,0} bitcast(%c)
%copy.3 = f32[0,4]{1,0} copy(%x)
ROOT %t = (f32[1,2]{1,0}, /*index=1*/f32[0,4]{1,0}) tuple(%b, %copy.3)
""")
    assert kernels.of(text).count == 0


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ('custom-call(%x, %w), custom_call_target="__gpu$xla.gpu.triton"', kernels.PALLAS),
        ('custom-call(%x), custom_call_target="jax_callable_variadic_tuple_step"', kernels.CALL),
        ('custom-call(%x), custom_call_target="cusolver_potrf_ffi"', kernels.LIBRARY),
        ("sort(%x), dimensions={0}, to_apply=%less", kernels.SORT),
        ("copy(%x)", kernels.COPY),
        ("reduce(%x, %zero), dimensions={1}, to_apply=%sum", kernels.REDUCTION),
        ("broadcast(%zero), dimensions={}", kernels.FILL),
    ],
)  # fmt: skip
def test_kinds(line, kind):
    text = program(f"""
%x = f32[32,64]{{1,0}} parameter(0)
%w = f32[64,16]{{1,0}} parameter(1)
%zero = f32[] constant(0)
%y = f32[32,16]{{1,0}} {line}
""")
    kernel, _ = only(text)
    assert kernel.kind == kind
    assert kernels.of(text).count == (kind != kernels.CALL)


def test_kernels_within_calls_of_warp():
    """They are started and move a part of what the call is given; XLA's numbers stay."""
    text = program("""
%x = f32[512,512]{1,0} parameter(0)
%copy.1 = f32[512,512]{1,0} copy(%x)
%y = f32[512,512]{1,0} custom-call(%copy.1), custom_call_target="jax_callable_step"
""")
    alone = kernels.of(text)
    both = kernels.with_warp(alone, started=100, held=10**6)
    assert both.by_kind() == {kernels.WARP: 100, kernels.COPY: 1, kernels.CALL: 1}
    assert (both.count, both.moved) == (alone.count, alone.moved) == (1, 2 * 512 * 512 * 4)
    more = pricing.seconds(H100, both) - pricing.seconds(H100, alone)
    assert more > 100 * pricing.LAUNCH


def products_of(line, *computations):
    kernel, _ = only(
        program(
            f"""
%x = bf16[32,64]{{1,0}} parameter(0)
%w = bf16[64,16]{{1,0}} parameter(1)
%y = f32[32,16]{{1,0}} {line}
""".replace("bf16", "f32" if not computations else "bf16"),
            *computations,
        )
    )
    assert kernel.kind == kernels.PRODUCT
    return kernel.products


def test_matrix_products_in_a_fusion_and_in_a_library():
    """2 i k j operations, in the type of the inputs; float32 is tf32 unless told otherwise."""
    flops, shape = 2 * 32 * 64 * 16, (1, 32, 16)
    fused = products_of("fusion(%x, %w), kind=kCustom, calls=%fused_product", PRODUCT)
    assert fused == (hlo.Product(flops, "bf16", shape, 64),)
    call = (
        'custom-call(%x, %w), custom_call_target="__cublas$gemm", backend_config={{"gemm_backend_'
        'config":{{"dot_dimension_numbers":{{"lhs_contracting_dimensions":["1"],"lhs_batch_'
        'dimensions":[]}},"precision_config":{{"operand_precision":["{0}","{0}"]}}}}}}'
    )
    assert products_of(call.format("DEFAULT")) == (hlo.Product(flops, "tf32", shape, 64),)
    assert products_of(call.format("HIGHEST")) == (hlo.Product(flops, "f32", shape, 64),)
    exact = "dot(%x, %w), lhs_contracting_dims={1}, operand_precision={highest,highest}"
    assert products_of(exact) == (hlo.Product(flops, "f32", shape, 64),)


def test_the_price_of_a_large_kernel_is_its_traffic_and_of_a_small_one_its_start():
    large = kernels.Kernel("copy", kernels.COPY, 10**9, 10**9)
    small = kernels.Kernel("copy", kernels.COPY, 4, 4)
    assert pricing.of_kernel(H100, large) == pytest.approx(2e9 / (0.78 * 3.352e12), rel=0.01)
    assert pricing.of_kernel(H100, small) == pytest.approx(pricing.LAUNCH, rel=0.01)


def test_the_price_of_matrix_products():
    """A large one runs at the rate of its type, on any GPU; a small one leaves most of it idle."""
    side = 8192
    for gpu in GPUS.values():
        for kind in ("bf16", "tf32"):
            whole = hlo.Product(2 * side**3, kind, (1, side, side), side)
            rate = whole.flops / pricing.multiplying(gpu, [whole])
            assert rate == pytest.approx(0.6 * gpu.flops[kind], rel=0.05)
    one_tile = hlo.Product(2 * 64**2 * side, "tf32", (1, 64, 64), side)
    rate = one_tile.flops / pricing.multiplying(H100, [one_tile])
    assert rate < 0.6 * H100.flops["tf32"] / H100.cores


def test_more_worlds_or_steps_cost_more():
    """Twice the runs are twice the time."""
    kernel = kernels.Kernel("copy", kernels.COPY, 100, 100)
    once, twice = (
        pricing.seconds(H100, kernels.Kernels(kernels.collections.Counter({kernel: n})))
        for n in (1, 2)
    )
    assert math.isclose(twice, 2 * once)
