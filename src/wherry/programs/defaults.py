"""What the operator's settings mean to each of the engine's services."""

from ipaddress import ip_network

from wherry.engine.containers.attach_requests import NetworkDefaults
from wherry.engine.containers.engine_defaults import CreateDefaults
from wherry.engine.containers.spawn_requests import RuntimeDefaults
from wherry.engine.runtimes import RuntimeTable
from wherry.engine.system import EngineIdentity
from wherry.model.containers import LogSpec
from wherry.model.limits import Ulimit
from wherry.networks import NetworkSettings
from wherry.programs.daemon_values import DEFAULT_LOG_OPTIONS
from wherry.programs.ground import Ground
from wherry.programs.settings import Settings, seccomp_profile_text
from wherry.programs.version import VERSION
from wherry.registry import RegistrySettings


def _default_log(settings: Settings) -> LogSpec:
    """The log of containers that say nothing; our default rotation is one of files only."""
    options = settings.log_options
    if settings.log_driver != "json-file":
        options = dict(options.items() - DEFAULT_LOG_OPTIONS.items())
    return LogSpec(driver=settings.log_driver, options=options)


def create_defaults(settings: Settings) -> CreateDefaults:
    return CreateDefaults(
        log=_default_log(settings),
        runs_init=settings.runs_init,
        shm_bytes=settings.shm_bytes,
        ipc=settings.ipc_namespace,
        cgroup=settings.cgroup_namespace,
        ulimits=tuple(
            Ulimit(name=name, soft=soft, hard=hard) for name, soft, hard in settings.ulimits
        ),
        no_new_privileges=settings.no_new_privileges,
        seccomp=seccomp_profile_text(settings),
        runtimes=runtime_table(settings),
    )


def runtime_table(settings: Settings) -> RuntimeTable:
    return RuntimeTable(
        default=settings.default_runtime,
        configured=settings.runtimes,
    )


def network_defaults(settings: Settings) -> NetworkDefaults:
    return NetworkDefaults(
        dns=settings.dns,
        dns_options=settings.dns_options,
        dns_search=settings.dns_search,
        host_gateway=settings.host_gateway,
    )


def runtime_defaults(settings: Settings) -> RuntimeDefaults:
    return RuntimeDefaults(cgroup_parent=settings.cgroup_parent, runtimes=runtime_table(settings))


def engine_identity(ground: Ground, settings: Settings) -> EngineIdentity:
    return EngineIdentity(
        engine_id=ground.engine_id,
        version=VERSION,
        git_commit="",
        build_time="",
        data_root=settings.data_root,
        log_driver=settings.log_driver,
        labels=settings.labels,
        is_debug=settings.is_debug,
        is_experimental=settings.is_experimental,
        http_proxy=settings.http_proxy,
        https_proxy=settings.https_proxy,
        no_proxy=settings.no_proxy,
        registry_mirrors=settings.hub_mirrors,
        insecure_registries=settings.insecure_registries,
        init_path=settings.init_path,
        seccomp_profile=settings.seccomp_profile or "builtin",
        no_new_privileges=settings.no_new_privileges,
        default_runtime=settings.default_runtime,
        runtimes=runtime_table(settings).commands,
        components=(),
    )


def network_settings(settings: Settings) -> NetworkSettings:
    return NetworkSettings(
        bridge=settings.bridge,
        bip=settings.bip,
        bip6=settings.bip6,
        fixed_cidr=settings.fixed_cidr,
        fixed_cidr_v6=settings.fixed_cidr_v6,
        default_gateway=settings.default_gateway,
        default_gateway_v6=settings.default_gateway_v6,
        has_ipv6=settings.has_ipv6,
        may_meet=settings.may_meet,
        is_masqueraded=settings.is_masqueraded,
        host_address=settings.host_address,
        mtu=settings.mtu,
        pools=tuple((ip_network(base), size) for base, size in settings.address_pools),
        forwards=settings.forwards,
        filters=settings.filters_ipv4,
        allows_direct_routing=settings.allows_direct_routing,
        accepted_mark=settings.accepted_mark,
        driver_options=settings.network_options,
    )


def registry_settings(settings: Settings) -> RegistrySettings:
    """What the operator's words mean to the registry client."""
    mirrors: dict[str, tuple[str, ...]] = {}
    for registry, url in settings.registry_mirrors:
        mirrors[registry] = (*mirrors.get(registry, ()), url)
    return RegistrySettings(mirrors=mirrors, insecure=settings.insecure_registries)
