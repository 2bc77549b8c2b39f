import { fault } from '@berth/core'
import koffi from 'koffi'
import { isThreadApart } from './network-namespace.js'

type LibraryCall = ReturnType<ReturnType<typeof koffi.load>['func']>

/**
 * libnftables, which the nft program is a shell around: a transaction without starting a program, 2 ms where that takes 35. Its socket is
 * opened with the context, so in the network namespace of the calling thread; the work is done in the thread pool, since the kernel may wait
 * for its readers.
 */
interface Library {
  newContext(flags: number): unknown
  freeContext(context: unknown): void
  keepErrors(context: unknown): number
  keepOutput(context: unknown): number
  errors(context: unknown): string | null
  readonly run: LibraryCall
}

let loaded: Library | undefined
function library(): Library {
  loaded ??= load()
  return loaded
}

function load(): Library {
  try {
    const lib = koffi.load('libnftables.so.1')
    return {
      newContext: lib.func('void *nft_ctx_new(uint32_t flags)'),
      freeContext: lib.func('void nft_ctx_free(void *context)'),
      keepErrors: lib.func('int nft_ctx_buffer_error(void *context)'),
      keepOutput: lib.func('int nft_ctx_buffer_output(void *context)'),
      errors: lib.func('const char *nft_ctx_get_error_buffer(void *context)'),
      run: lib.func('int nft_run_cmd_from_buffer(void *context, const char *commands)'),
    }
  } catch (cause) {
    throw fault.failedPrecondition(
      'host.program_missing',
      'libnftables is not installed: apt-get install nftables',
      { cause },
    )
  }
}

/** The library is used by one at a time. */
let tail: Promise<unknown> = Promise.resolve()

/** Carries commands out as one transaction: all or nothing. @throws host.nftables with what it said, host.program_missing */
export function runNftables(commands: string): Promise<void> {
  const turn = tail.then(() => runOnce(commands))
  tail = turn.catch(() => {})
  return turn
}

async function runOnce(commands: string): Promise<void> {
  const { newContext, freeContext, keepErrors, keepOutput, errors, run } = library()
  const context = newContext(0)
  if (!context) throw fault.internal('host.nftables', 'libnftables gives no context')
  try {
    keepErrors(context)
    keepOutput(context)
    // It may open its socket again, which must not happen in a thread of the pool that is in another namespace.
    const code = isThreadApart() ? (run(context, commands) as number) : await aside(run, context, commands)
    if (code !== 0)
      throw fault.internal('host.nftables', `packet rules: ${errors(context)?.trim() || `code ${code}`}`)
  } finally {
    freeContext(context)
  }
}

const aside = (run: LibraryCall, context: unknown, commands: string): Promise<number> =>
  new Promise((resolve, reject) =>
    run.async(context, commands, (error: unknown, code: number) => (error ? reject(error) : resolve(code))),
  )
