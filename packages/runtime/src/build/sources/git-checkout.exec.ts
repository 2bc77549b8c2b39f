import { execFile } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { promisify } from 'node:util'
import { fault } from '@berth/core'
import { type GitSource, gitSourceRefusal } from '../graph/git-source.js'
import { resolveGuarded } from './guarded-lookup.client.js'
import { withoutSecrets } from './url-file.exec.js'

const execute = promisify(execFile)
const OUTPUT_BYTES_MAX = 1 << 20
const COMMIT = /^[0-9a-f]{40}(?:[0-9a-f]{24})?$/

/** Whatever the host's or a user's own configuration says does not count, and no other protocol is spoken. */
const ENVIRONMENT = {
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_TERMINAL_PROMPT: '0',
  GIT_ASKPASS: '/bin/true',
  GIT_ALLOW_PROTOCOL: 'https:http:ssh:git',
  GIT_SSH_COMMAND: 'ssh -o BatchMode=yes',
  LC_ALL: 'C',
}

/**
 * Gets one commit of a repository into a directory, whose `.git` is left in place. Submodules are not fetched.
 * @returns the commit, as hex
 * @throws build.source_refused, build.source_unreachable, the signal's reason
 */
export async function checkOut(source: GitSource, directory: string, signal: AbortSignal): Promise<string> {
  const refusal = gitSourceRefusal(source)
  if (refusal) throw fault.permissionDenied('build.source_refused', `invalid git source: ${refusal}`)
  const pinned = await guard(source.url)
  mkdirSync(directory, { recursive: true, mode: 0o755 })
  const git = async (...args: readonly string[]): Promise<string> => {
    const options = ['-c', 'core.hooksPath=/dev/null', '-c', 'http.followRedirects=false', ...pinned]
    const env = { ...ENVIRONMENT, PATH: process.env.PATH ?? '/usr/bin:/bin', HOME: directory }
    try {
      const settings = { cwd: directory, env, signal, maxBuffer: OUTPUT_BYTES_MAX }
      return (await execute('git', [...options, ...args], settings)).stdout
    } catch (error) {
      signal.throwIfAborted()
      throw unreachable(source.url, error)
    }
  }
  await git('init', '--quiet', '--initial-branch=none')
  await fetchCommit(git, source)
  await git('checkout', '--quiet', '--detach', 'FETCH_HEAD')
  return (await git('rev-parse', 'HEAD')).trim()
}

type Git = (...args: readonly string[]) => Promise<string>

/** One commit where the server gives it alone. Else with its history (servers of plain files), or all branches and tags, one of which has it. */
async function fetchCommit(git: Git, { url, ref = 'HEAD' }: GitSource): Promise<void> {
  const fetch = ['fetch', '--quiet', '--no-tags']
  try {
    await git(...fetch, '--depth=1', '--', url, ref)
  } catch (error) {
    if (COMMIT.test(ref)) {
      await git(...fetch, '--', url, '+refs/heads/*:refs/fetched/heads/*', '+refs/tags/*:refs/tags/*')
      await git('update-ref', '--no-deref', 'FETCH_HEAD', `${ref}^{commit}`)
    } else if (String(error).includes('shallow')) await git(...fetch, '--', url, ref)
    else throw error
  }
}

/** Whom it leads to, and for HTTP that git asks no name server again. */
async function guard(url: string): Promise<readonly string[]> {
  const [, scheme = 'ssh', authority = ''] = /^(\w+):\/\/([^/?#]+)/.exec(url) ?? []
  const host = authority === '' ? (/^[^@]+@([^:]+):/.exec(url)?.[1] ?? '') : authority.replace(/^.*@/, '')
  const [, name = host, port] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(host) ?? []
  const addresses = await resolveGuarded(name, { publicOnly: false })
  if (!/^https?$/i.test(scheme)) return []
  const wanted = port ?? (scheme.toLowerCase() === 'https' ? '443' : '80')
  const plain = addresses.map(({ address, family }) => (family === 6 ? `[${address}]` : address))
  return ['-c', `http.curloptResolve=${name}:${wanted}:${plain.join(',')}`]
}

function unreachable(url: string, error: unknown) {
  const { code, stderr = '' } = error as { readonly code?: unknown; readonly stderr?: string }
  if (code === 'ENOENT')
    return fault.failedPrecondition(
      'build.git_missing',
      'git is not on this host, and remote repositories need it: install the package git',
    )
  const said = stderr.trim().split('\n').slice(-3).join('; ') || String(error)
  const shown = withoutSecrets(url)
  return fault.unavailable(
    'build.source_unreachable',
    `the repository ${shown} cannot be fetched: ${said.replaceAll(url, shown)}`,
    { params: { url: shown } },
  )
}
