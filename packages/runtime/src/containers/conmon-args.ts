export interface ConmonInput {
  readonly id: string
  readonly name: string
  readonly bundle: string
  readonly pidFile: string
  readonly conmonPidFile: string
  readonly exitDir: string
  readonly persistDir: string
  readonly logPath: string
  readonly logMaxBytes: number
  readonly ociRuntimePath: string
  readonly ociStateDir: string
}

/** Arguments of `conmon` for one container: it keeps the log and the exit code, so that the container outlives us. */
export function conmonArgs(input: ConmonInput): readonly string[] {
  return [
    ...['--api-version', '1', '--cid', input.id, '--cuuid', input.id, '--name', input.name],
    ...[
      '--runtime',
      input.ociRuntimePath,
      '--runtime-arg',
      `--root=${input.ociStateDir}`,
      '--runtime-arg',
      '--cgroup-manager=cgroupfs',
    ],
    ...[
      '--bundle',
      input.bundle,
      '--container-pidfile',
      input.pidFile,
      '--conmon-pidfile',
      input.conmonPidFile,
    ],
    ...['--exit-dir', input.exitDir, '--persist-dir', input.persistDir],
    ...[
      '--log-path',
      `k8s-file:${input.logPath}`,
      '--log-size-max',
      String(input.logMaxBytes),
      '--log-level',
      'error',
      '--full-attach',
    ],
  ]
}
