import type { ConsoleSize, ExecInfo, ExecSpec } from '@berth/runtime'
import type { z } from 'zod'
import { compact, unlessEmpty } from './compact.js'
import type { execBody } from './create-body.js'
import { refuse } from './refuse.js'

/** @throws engine.create_invalid without a command */
export function execSpec(body: z.output<typeof execBody>): ExecSpec {
  if (!body.Cmd?.length) throw refuse('No exec command specified')
  return compact<ExecSpec>({
    argv: body.Cmd,
    env: unlessEmpty(body.Env),
    workdir: unlessEmpty(body.WorkingDir),
    user: unlessEmpty(body.User),
    tty: body.Tty || undefined,
    stdin: body.AttachStdin || undefined,
    stdout: body.AttachStdout,
    stderr: body.AttachStderr,
    privileged: body.Privileged || undefined,
  })
}

/** `[rows, columns]`, as clients that have a terminal send it. */
export function sizeOf(size: unknown): ConsoleSize | undefined {
  const [rows, columns] = Array.isArray(size) ? size.map(Number) : []
  return rows && columns ? { rows, columns } : undefined
}

/** `docker inspect` of an exec. */
export function execAnswer({ id, containerId, spec, running, pid, exitCode }: ExecInfo): object {
  const [entrypoint = '', ...args] = spec.argv
  return {
    ID: id,
    Running: running,
    ExitCode: exitCode ?? null,
    ProcessConfig: {
      tty: spec.tty ?? false,
      entrypoint,
      arguments: args,
      privileged: spec.privileged ?? false,
      ...(spec.user === undefined ? {} : { user: spec.user }),
    },
    OpenStdin: spec.stdin ?? false,
    OpenStderr: spec.stderr ?? true,
    OpenStdout: spec.stdout ?? true,
    CanRemove: false,
    ContainerID: containerId,
    DetachKeys: '',
    Pid: pid ?? 0,
  }
}
