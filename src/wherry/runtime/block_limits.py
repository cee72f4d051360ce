"""Shares and limits of block devices, in the words of either version of cgroups.

Weights belong to an I/O scheduler, and so do the names of their files: CFQ had `blkio.weight`,
BFQ brought `blkio.bfq.weight` and `io.bfq.weight`, the cost model of version 2 has `io.weight`
(Documentation/block/bfq-iosched.rst, cgroup-v2.rst "IO Interface Files").
"""

from collections.abc import Iterator

from wherry.oci.runtime_spec import BlockIo, BlockThrottle, BlockWeight
from wherry.runtime.cgroup_settings import Setting

_LEAST, _MOST = 10, 1000
"""The weights of version 1 and of BFQ that Docker takes."""
_MOST_UNIFIED = 10000


def legacy_block_io(wanted: BlockIo) -> Iterator[Setting]:
    """The files of version 1's blkio controller."""
    if wanted.weight:
        value, option = str(wanted.weight), _weight(wanted.weight)
        bfq = ("blkio.bfq.weight", value)
        yield Setting("blkio", "blkio.weight", value, option, otherwise=bfq)
    if wanted.leaf_weight:
        value = str(wanted.leaf_weight)
        yield Setting("blkio", "blkio.leaf_weight", value, "resources.blockIO.leafWeight")
    for each in wanted.weight_devices:
        if each.weight:
            value = f"{_numbers(each)} {each.weight}"
            bfq = ("blkio.bfq.weight_device", value)
            option = _of_device("--blkio-weight-device", each, each.weight)
            yield Setting("blkio", "blkio.weight_device", value, option, otherwise=bfq)
        if each.leaf_weight:
            value = f"{_numbers(each)} {each.leaf_weight}"
            option = "resources.blockIO.weightDevice"
            yield Setting("blkio", "blkio.leaf_weight_device", value, option)
    for option, word, rates in _throttles(wanted):
        for rate in rates:
            value = f"{_numbers(rate)} {rate.rate}"
            file = f"blkio.throttle.{word}_device"
            yield Setting("blkio", file, value, _of_device(option, rate, rate.rate))


def unified_block_io(wanted: BlockIo) -> Iterator[Setting]:
    """The files of version 2's io controller."""
    if wanted.weight:
        default = ("io.weight", str(unified_weight(wanted.weight)))
        value, option = str(wanted.weight), _weight(wanted.weight)
        yield Setting("io", "io.bfq.weight", value, option, otherwise=default)
    for each in wanted.weight_devices:
        if each.weight:
            default = ("io.weight", f"{_numbers(each)} {unified_weight(each.weight)}")
            value = f"{_numbers(each)} {each.weight}"
            option = _of_device("--blkio-weight-device", each, each.weight)
            yield Setting("io", "io.bfq.weight", value, option, otherwise=default)
    words = {"read_bps": "rbps", "write_bps": "wbps", "read_iops": "riops", "write_iops": "wiops"}
    for option, word, rates in _throttles(wanted):
        for rate in rates:
            value = f"{_numbers(rate)} {words[word]}={rate.rate or 'max'}"
            yield Setting("io", "io.max", value, _of_device(option, rate, rate.rate))


def unified_weight(weight: int) -> int:
    """`io.weight` (1 to 10000) for a weight of 10 to 1000, on a line."""
    weight = min(max(weight, _LEAST), _MOST)
    return 1 + (weight - _LEAST) * (_MOST_UNIFIED - 1) // (_MOST - _LEAST)


def _throttles(wanted: BlockIo) -> Iterator[tuple[str, str, tuple[BlockThrottle, ...]]]:
    yield "--device-read-bps", "read_bps", wanted.read_bps
    yield "--device-write-bps", "write_bps", wanted.write_bps
    yield "--device-read-iops", "read_iops", wanted.read_iops
    yield "--device-write-iops", "write_iops", wanted.write_iops


def _numbers(device: BlockThrottle | BlockWeight) -> str:
    return f"{device.major}:{device.minor}"


def _weight(weight: int) -> str:
    return f"--blkio-weight {weight}"


def _of_device(option: str, device: BlockThrottle | BlockWeight, value: int) -> str:
    return f"{option} for the device {_numbers(device)}: {value}"
