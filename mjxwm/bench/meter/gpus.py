"""GPUs as data: what XLA asks of one that it compiles for, and what one reaches in practice."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Gpu:
    """A GPU model."""

    name: str
    capability: tuple[int, int]
    """CUDA compute capability, such as (9, 0)."""
    cores: int
    """Streaming multiprocessors."""
    lanes: int
    """float32 units of each."""
    threads: int
    """Threads that each holds at once."""
    shared: int
    """Shared memory of each [bytes]."""
    clock: float
    """Highest clock rate [GHz]."""
    bandwidth: float
    """Memory bandwidth of the data sheet [bytes/s]."""
    cache: int
    """Level 2 [bytes]."""
    memory: int
    """[bytes]."""
    flops: dict[str, float]
    """Dense matrix products by the type of their inputs [operations/s], as in the data sheet;
    tf32 is what XLA uses for float32 unless a product has a higher precision."""

    @property
    def description(self) -> str:
        """XLA's `GpuTargetConfigProto` as text."""
        major, minor = self.capability
        return f"""
gpu_device_info {{
  threads_per_block_limit: 1024 threads_per_warp: 32 threads_per_core_limit: {self.threads}
  shared_memory_per_block: 49152 shared_memory_per_block_optin: {self.shared - 1024}
  shared_memory_per_core: {self.shared} core_count: {self.cores} fpus_per_core: {self.lanes}
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  memory_bandwidth: {self.bandwidth:.0f} l2_cache_size: {self.cache}
  clock_rate_ghz: {self.clock} device_memory_size: {self.memory}
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
  cuda_compute_capability {{ major: {major} minor: {minor} }}
}}
platform_name: "CUDA" device_description_str: "{self.name}"
dnn_version_info {{ major: 9 minor: 12 }} runtime_version {{ major: 13 }}
"""


GPUS = {
    "h100": Gpu(
        "NVIDIA H100 80GB HBM3",
        (9, 0),
        cores=132,
        lanes=128,
        threads=2048,
        shared=233_472,
        clock=1.98,
        bandwidth=3.352e12,
        cache=52_428_800,
        memory=84_929_347_584,
        flops={"bf16": 989e12, "f16": 989e12, "tf32": 495e12, "f32": 67e12, "f64": 67e12},
    ),
    "a100": Gpu(
        "NVIDIA A100-SXM4-80GB",
        (8, 0),
        cores=108,
        lanes=64,
        threads=2048,
        shared=167_936,
        clock=1.41,
        bandwidth=2.039e12,
        cache=41_943_040,
        memory=84_987_740_160,
        flops={"bf16": 312e12, "f16": 312e12, "tf32": 156e12, "f32": 19.5e12, "f64": 19.5e12},
    ),
    "rtx4090": Gpu(
        "NVIDIA GeForce RTX 4090",
        (8, 9),
        cores=128,
        lanes=128,
        threads=1536,
        shared=102_400,
        clock=2.52,
        bandwidth=1.008e12,
        cache=75_497_472,
        memory=25_256_656_896,
        flops={"bf16": 165e12, "f16": 165e12, "tf32": 82.6e12, "f32": 82.6e12, "f64": 1.29e12},
    ),
}
"""By the name that `mjxwm bench kernels --gpu` takes."""
