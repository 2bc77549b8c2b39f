interface MonitorInput {
  readonly id: string
  /** Holds the attach socket and the control pipe. */
  readonly dir: string
  readonly pidFile: string
  readonly ociRuntimePath: string
  readonly ociStateDir: string
  readonly terminal: boolean
  /** A pipe to the program's stdin; otherwise it is /dev/null. */
  readonly stdin: boolean
  /** Stdin stays open when one who was attached leaves. */
  readonly leaveStdinOpen: boolean
}

/** What a run's monitor does with output beside handing it to those attached. */
export interface ConmonStreams extends Pick<MonitorInput, 'terminal' | 'stdin' | 'leaveStdinOpen'> {
  /** Undefined keeps no log. */
  readonly log: { readonly path: string; readonly maxBytes: number } | undefined
}

export interface ConmonInput extends ConmonStreams {
  readonly id: string
  readonly name: string
  readonly bundle: string
  readonly pidFile: string
  readonly conmonPidFile: string
  readonly exitDir: string
  readonly persistDir: string
  readonly ociRuntimePath: string
  readonly ociStateDir: string
}

/** `--no-sync-log`: the monitor would stop reading its container's output for as long as the disk takes, at each rotation. */
const monitorArgs = (input: MonitorInput): readonly string[] => [
  ...['--api-version', '1', '--cid', input.id, '--cuuid', input.id, '--log-level', 'error', '--no-sync-log'],
  ...['--runtime', input.ociRuntimePath],
  ...['--runtime-arg', `--root=${input.ociStateDir}`, '--runtime-arg', '--cgroup-manager=cgroupfs'],
  ...['--bundle', input.dir, '--full-attach', '--container-pidfile', input.pidFile],
  ...(input.terminal ? ['--terminal'] : []),
  ...(input.stdin ? ['--stdin'] : []),
  ...(input.leaveStdinOpen ? ['--leave-stdin-open'] : []),
]

/** Arguments of `conmon` for one container: it keeps the log and the exit code, so that the container outlives us. */
export function conmonArgs(input: ConmonInput): readonly string[] {
  const { log } = input
  return [
    ...monitorArgs({ ...input, dir: input.bundle }),
    ...[
      '--conmon-pidfile',
      input.conmonPidFile,
      '--exit-dir',
      input.exitDir,
      '--persist-dir',
      input.persistDir,
    ],
    ...(log
      ? ['--log-path', `k8s-file:${log.path}`, '--log-size-max', String(log.maxBytes)]
      : ['--log-path', 'none']),
  ]
}

export interface ExecMonitorInput extends MonitorInput {
  readonly processFile: string
  /** It waits with the program until somebody is attached. */
  readonly attach: boolean
}

/** Arguments of `conmon` for a program inside a running container: a child of ours that outlives us and keeps the exit code in its directory. */
export const execMonitorArgs = (input: ExecMonitorInput): readonly string[] => [
  ...monitorArgs(input),
  ...['--sync', '--exec', '--exec-process-spec', input.processFile],
  ...['--persist-dir', input.dir, '--log-path', 'none'],
  ...(input.attach ? ['--exec-attach'] : []),
]
