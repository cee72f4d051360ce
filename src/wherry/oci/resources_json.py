"""The JSON of what cgroups may use: `linux.resources`, also the input of `update`."""

from wherry.oci.json_fields import INT64, UINT16, UINT32, UINT64, Fields, Json
from wherry.oci.runtime_spec import (
    BlockIo,
    BlockThrottle,
    BlockWeight,
    Cpu,
    DeviceRule,
    HugepageLimit,
    InterfacePriority,
    Memory,
    NetworkClass,
    RdmaLimit,
    Resources,
)
from wherry.oci.shapes import (
    Member,
    Shape,
    by_name,
    flag,
    many,
    number,
    one,
    text,
    texts_by_name,
)

_DEVICE_NUMBER = INT64


def _pids_limit(fields: Fields, name: str) -> int | None:
    return fields.child(name).number_or_none("limit", INT64)


def _pids(limit: int) -> Json:
    return {"limit": limit}


_DEVICE_RULE = Shape(
    DeviceRule,
    keeps=("type", "access"),
    allow=flag(),
    type=text(),
    major=number(_DEVICE_NUMBER),
    minor=number(_DEVICE_NUMBER),
    access=text(),
)
_MEMORY = Shape(
    Memory,
    limit=number(INT64),
    reservation=number(INT64),
    swap=number(INT64),
    kernel=number(INT64),
    kernel_tcp=number(INT64, "kernelTCP"),
    swappiness=number(UINT64),
    disable_oom_killer=flag("disableOOMKiller"),
    use_hierarchy=flag(),
    check_before_update=flag(),
)
_CPU = Shape(
    Cpu,
    shares=number(UINT64),
    quota=number(INT64),
    burst=number(UINT64),
    period=number(UINT64),
    realtime_runtime=number(INT64),
    realtime_period=number(UINT64),
    cpus=text(),
    mems=text(),
    idle=number(INT64),
)
_BLOCK_WEIGHT = Shape(
    BlockWeight,
    major=number(_DEVICE_NUMBER),
    minor=number(_DEVICE_NUMBER),
    weight=number(UINT16),
    leaf_weight=number(UINT16),
)
_THROTTLE = Shape(
    BlockThrottle,
    major=number(_DEVICE_NUMBER),
    minor=number(_DEVICE_NUMBER),
    rate=number(UINT64),
)
_BLOCK_IO = Shape(
    BlockIo,
    weight=number(UINT16),
    leaf_weight=number(UINT16),
    weight_devices=many(_BLOCK_WEIGHT, "weightDevice"),
    read_bps=many(_THROTTLE, "throttleReadBpsDevice"),
    write_bps=many(_THROTTLE, "throttleWriteBpsDevice"),
    read_iops=many(_THROTTLE, "throttleReadIOPSDevice"),
    write_iops=many(_THROTTLE, "throttleWriteIOPSDevice"),
)
_HUGEPAGES = Shape(HugepageLimit, page_size=text(), limit=number(UINT64))
_PRIORITY = Shape(InterfacePriority, name=text(), priority=number(UINT32))
_NETWORK = Shape(NetworkClass, class_id=number(UINT32, "classID"), priorities=many(_PRIORITY))
_RDMA = Shape(RdmaLimit, hca_handles=number(UINT32), hca_objects=number(UINT32))

RESOURCES = Shape(
    Resources,
    keeps=("devices",),
    devices=many(_DEVICE_RULE),
    memory=one(_MEMORY),
    cpu=one(_CPU),
    pids_limit=Member(_pids_limit, _pids, "pids"),
    block_io=one(_BLOCK_IO, "blockIO"),
    hugepage_limits=many(_HUGEPAGES),
    network=one(_NETWORK),
    rdma=by_name(_RDMA),
    unified=texts_by_name(),
)
