import type { ConsoleSize, ExecSpec } from '../api.js'
import type { ProcessUser } from '../oci/user.js'

/** The `process` of an OCI runtime spec, as far as it matters here; the rest is carried along. */
export interface OciProcess {
  readonly user: { readonly uid: number; readonly gid: number; readonly additionalGids?: readonly number[] }
  readonly args: readonly string[]
  readonly env?: readonly string[]
  readonly cwd: string
  readonly capabilities?: Readonly<Record<string, readonly string[]>>
  readonly [field: string]: unknown
}

export interface ExecProcessInput {
  readonly spec: ExecSpec
  /** The container's own process: environment, user, limits and confinement come from it. */
  readonly own: OciProcess
  /** Absent: the container's. */
  readonly user?: ProcessUser
  /** Inside the root, without links. Absent: the container's. */
  readonly workdir?: string
  /** Whether the container was given a HOME, which then holds for every user. */
  readonly keepsHome: boolean
  /** Every capability there is, for a privileged one. */
  readonly allCapabilities: readonly string[]
  readonly size?: ConsoleSize
}

/**
 * The process of an exec. Inheritable and ambient capabilities are empty whatever the container has: with them a program's own file
 * capabilities would come on top (CVE-2022-24769, CVE-2022-27650).
 */
export function execProcess(input: ExecProcessInput): OciProcess {
  const { spec, own, user, size } = input
  const { apparmorProfile, consoleSize: _size, ...rest } = own
  const capabilities = spec.privileged ? input.allCapabilities : undefined
  return {
    ...rest,
    ...(apparmorProfile && !spec.privileged ? { apparmorProfile } : {}),
    terminal: spec.tty ?? false,
    ...(spec.tty && size ? { consoleSize: { height: size.rows, width: size.columns } } : {}),
    args: spec.argv,
    env: execEnv(input),
    cwd: input.workdir ?? own.cwd,
    user: user ? { uid: user.uid, gid: user.gid, additionalGids: user.additionalGids } : own.user,
    capabilities: {
      bounding: capabilities ?? own.capabilities?.bounding ?? [],
      effective: capabilities ?? own.capabilities?.effective ?? [],
      permitted: capabilities ?? own.capabilities?.permitted ?? [],
      inheritable: [],
      ambient: [],
    },
  }
}

/** The container's, over it HOME of another user and TERM at a terminal, over these its own. */
function execEnv({ spec, own, user, keepsHome }: ExecProcessInput): readonly string[] {
  const entries = new Map<string, string>()
  const put = (entry: string) => entries.set(entry.split('=', 1)[0] ?? '', entry)
  for (const entry of own.env ?? []) put(entry)
  if (spec.tty && !entries.has('TERM')) put('TERM=xterm')
  if (user && !keepsHome) put(`HOME=${user.home}`)
  for (const entry of spec.env ?? []) if (entry.indexOf('=') > 0) put(entry)
  return [...entries.values()]
}
