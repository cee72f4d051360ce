"""What a service may use, as the Engine API has it: `Resources` of a host configuration."""

from wherry.client.documents import Document, Json, child, children, flag, number, text, texts

_NUMBERS = {
    "cpu_shares": "CpuShares", "cpu_period": "CpuPeriod", "cpu_quota": "CpuQuota",
    "cpu_rt_period": "CpuRealtimePeriod", "cpu_rt_runtime": "CpuRealtimeRuntime",
    "cpu_count": "CpuCount", "pids_limit": "PidsLimit",
}  # fmt: skip
_SIZES = {
    "mem_limit": "Memory", "memswap_limit": "MemorySwap", "mem_reservation": "MemoryReservation",
}  # fmt: skip
_RATES = {
    "device_read_bps": "BlkioDeviceReadBps", "device_read_iops": "BlkioDeviceReadIOps",
    "device_write_bps": "BlkioDeviceWriteBps", "device_write_iops": "BlkioDeviceWriteIOps",
}  # fmt: skip
_BILLION = 10**9


def resources(service: Document) -> Document:
    """Limits, devices and ulimits; what `deploy.resources` says wins."""
    result: Document = {key: number(service, name) for name, key in _NUMBERS.items()}
    result |= {key: size_of(service, name) for name, key in _SIZES.items()}
    result |= {
        "CgroupParent": text(service, "cgroup_parent"),
        "CpusetCpus": text(service, "cpuset"),
        "CpuPercent": round(_decimal(service, "cpu_percent") * 100),
        "NanoCpus": round(_decimal(service, "cpus") * _BILLION),
        "DeviceCgroupRules": list(texts(service, "device_cgroup_rules")),
        "OomKillDisable": flag(service, "oom_kill_disable"),
        "MemorySwappiness": size_of(service, "mem_swappiness") or None,
        **_block_devices(child(service, "blkio_config")),
    }
    wanted = child(child(service, "deploy"), "resources")
    result |= _deploy_limits(child(wanted, "limits"), child(wanted, "reservations"))
    result["Ulimits"] = _ulimits(child(service, "ulimits"))
    result["Devices"] = [
        {
            "PathOnHost": text(each, "source"),
            "PathInContainer": text(each, "target"),
            "CgroupPermissions": text(each, "permissions"),
        }
        for each in children(service, "devices")
    ]
    result["DeviceRequests"] = [
        *(_request(each) for each in children(child(wanted, "reservations"), "devices")),
        *(_request(each, "gpu") for each in children(service, "gpus")),
    ]
    return result


def _deploy_limits(limits: Document, reservations: Document) -> Document:
    result: Document = {}
    if memory := size_of(limits, "memory"):
        result["Memory"] = memory
    if cpus := _decimal(limits, "cpus"):
        result["NanoCpus"] = round(cpus * _BILLION)
    if number(limits, "pids") > 0:
        result["PidsLimit"] = number(limits, "pids")
    if memory := size_of(reservations, "memory"):
        result["MemoryReservation"] = memory
    return result


def _block_devices(wanted: Document) -> Document:
    result: Document = {"BlkioWeight": number(wanted, "weight")}
    result["BlkioWeightDevice"] = [
        {"Path": text(each, "path"), "Weight": number(each, "weight")}
        for each in children(wanted, "weight_device")
    ]
    for name, key in _RATES.items():
        result[key] = [
            {"Path": text(each, "path"), "Rate": size_of(each, "rate")}
            for each in children(wanted, name)
        ]
    return result


def _ulimits(wanted: Document) -> Json:
    result: list[Json] = []
    for name, each in wanted.items():
        if isinstance(each, dict):
            result.append({"Name": name, "Soft": each.get("soft"), "Hard": each.get("hard")})
        else:
            result.append({"Name": name, "Soft": each, "Hard": each})
    return result


def _request(device: Document, *capabilities: str) -> Document:
    return {
        "Driver": text(device, "driver"),
        "Count": number(device, "count"),
        "DeviceIDs": list(texts(device, "device_ids")),
        "Capabilities": [[*texts(device, "capabilities"), *capabilities]],
        "Options": child(device, "options"),
    }


def size_of(of: Document, key: str) -> int:
    """Bytes, which a project has as digits."""
    value = of.get(key)
    return int(value) if isinstance(value, str | int) and value else 0


def _decimal(of: Document, key: str) -> float:
    value = of.get(key)
    return value if isinstance(value, int | float) else 0
