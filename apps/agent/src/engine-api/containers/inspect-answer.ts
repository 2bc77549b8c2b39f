import { goTime } from '@berth/engine-api'
import type { ContainerInfo, HealthCheck, RuntimeInfo } from '@berth/runtime'
import {
  type ContainerView,
  environmentOf,
  exposedPorts,
  isRunning,
  labelsOf,
  programOf,
} from './container-view.js'
import { hostConfigAnswer } from './host-config-answer.js'
import { mountAnswers } from './mount-answer.js'
import { networkSettings } from './network-answer.js'
import { said, sentBody } from './sent-body.js'
import { stateName } from './status-text.js'

const NANOS_PER_MS = 1e6

export interface ContainerSizes {
  readonly writtenBytes: number
  readonly rootBytes: number
}

/** All that docker tells about one container. */
export function inspectAnswer(view: ContainerView, host: RuntimeInfo, sizes?: ContainerSizes): object {
  const { container } = view
  const [path = '', ...args] = programOf(view)
  const dir = `${host.root}/containers/${container.id}`
  return {
    Id: container.id,
    Created: container.createdAt,
    Path: path,
    Args: args,
    State: stateAnswer(container),
    Image: container.imageId,
    ResolvConfPath: `${dir}/resolv.conf`,
    HostnamePath: `${dir}/hostname`,
    HostsPath: `${dir}/hosts`,
    LogPath: container.spec.log?.driver === 'none' ? '' : `${dir}/log`,
    Name: `/${container.spec.name}`,
    RestartCount: container.restartCount,
    Driver: 'overlay2',
    Platform: 'linux',
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: container.spec.security?.apparmor ?? '',
    ExecIDs: container.execIds.length > 0 ? container.execIds : null,
    HostConfig: hostConfigAnswer(container.spec),
    GraphDriver: { Name: 'overlay2', Data: {} },
    ...(sizes ? { SizeRw: sizes.writtenBytes, SizeRootFs: sizes.rootBytes } : {}),
    Mounts: mountAnswers(container),
    Config: configAnswer(view),
    NetworkSettings: networkSettings(view, host),
  }
}

function stateAnswer(container: ContainerInfo): object {
  const { state, exit, health } = container
  return {
    Status: stateName(container),
    Running: isRunning(container),
    Paused: state === 'paused',
    Restarting: state === 'restarting',
    OOMKilled: exit?.oomKilled ?? false,
    Dead: false,
    Pid: container.pid ?? 0,
    ExitCode: exit?.code ?? 0,
    Error: container.startError ?? exit?.message ?? '',
    StartedAt: goTime(container.startedAt),
    FinishedAt: goTime(container.finishedAt),
    ...(health
      ? {
          Health: {
            Status: health.status,
            FailingStreak: health.failingStreak,
            Log: health.log.map((entry) => ({
              Start: entry.startedAt,
              End: entry.finishedAt,
              ExitCode: entry.exitCode,
              Output: entry.output,
            })),
          },
        }
      : {}),
  }
}

function configAnswer(view: ContainerView): object {
  const { container, image } = view
  const { spec } = container
  const sent = sentBody(spec).config
  const volumes = [...(image?.config.volumes ?? []), ...Object.keys((sent.Volumes as object | null) ?? {})]
  const health = spec.health ?? image?.config.health
  return {
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    OnBuild: null,
    ...said(sent),
    Hostname: spec.hostname ?? (spec.network === 'host' ? '' : container.id.slice(0, 12)),
    Domainname: spec.domainname ?? '',
    User: spec.user ?? image?.config.user ?? '',
    ...setOf('ExposedPorts', exposedPorts(view)),
    Tty: spec.tty ?? false,
    OpenStdin: spec.openStdin ?? false,
    StdinOnce: spec.stdinOnce ?? false,
    Env: environmentOf(view),
    Cmd: orNull(spec.command ?? (spec.entrypoint ? [] : image?.config.cmd)),
    Entrypoint: orNull(spec.entrypoint ?? image?.config.entrypoint),
    Image: spec.image,
    Volumes: volumes.length > 0 ? Object.fromEntries(volumes.map((path) => [path, {}])) : null,
    WorkingDir: spec.workdir ?? image?.config.workdir ?? '',
    Labels: labelsOf(view),
    ...(health ? { Healthcheck: healthAnswer(health) } : {}),
    ...said({ StopSignal: spec.stopSignal ?? (image?.config.stopSignal || undefined) }),
    ...(spec.stopTimeoutMs === undefined ? {} : { StopTimeout: Math.round(spec.stopTimeoutMs / 1000) }),
  }
}

const orNull = (list: readonly string[] | undefined): readonly string[] | null => (list?.length ? list : null)

const setOf = (name: string, members: readonly string[]): object =>
  members.length === 0 ? {} : { [name]: Object.fromEntries(members.map((member) => [member, {}])) }

function healthAnswer(health: HealthCheck | 'none'): object {
  if (health === 'none') return { Test: ['NONE'] }
  const nanos = (ms: number | undefined) => (ms === undefined ? undefined : ms * NANOS_PER_MS)
  return said({
    Test: 'exec' in health.test ? ['CMD', ...health.test.exec] : ['CMD-SHELL', health.test.shell],
    Interval: nanos(health.intervalMs),
    Timeout: nanos(health.timeoutMs),
    Retries: health.retries,
    StartPeriod: nanos(health.startPeriodMs),
    StartInterval: nanos(health.startIntervalMs),
  })
}
