import { readFileSync } from 'node:fs'
import { ApiClient } from './api.client.js'
import { run } from './command.exec.js'
import type { LabLayout } from './layout.js'
import { controlPlaneEnv } from './parts.js'
import { readText, writeAtomically } from './state.store.js'

/** The control plane's sub-commands, run beside the serving process; each prints one line of JSON. */
export async function controlPlaneCommand<T>(
  lab: LabLayout,
  repo: string,
  databaseUrl: string,
  args: readonly string[],
): Promise<T> {
  const env = { ...controlPlaneEnv(lab, { databaseUrl, logLevel: 'error' }) }
  const output = await run(process.execPath, [`${repo}/apps/control-plane/dist/main.js`, ...args], { env })
  const line = output.trim().split('\n').at(-1) ?? '{}'
  return JSON.parse(line) as T
}

/** Where the database is: DATABASE_URL, or what `up` wrote down for the embedded one. */
export const databaseUrlOf = (lab: LabLayout): string =>
  process.env.DATABASE_URL ?? readFileSync(`${lab.stateDir}/database-url`, 'utf8').trim()

export const baseUrl = (lab: LabLayout): string => `http://127.0.0.1:${lab.httpPort}`

/** An API client with the lab's token; a token that no longer works is replaced. */
export async function labApi(lab: LabLayout, repo: string): Promise<ApiClient> {
  const known = readText(lab.tokenFile)
  if (known) {
    const api = new ApiClient(baseUrl(lab), known)
    const works = await api.get('/nodes').then(
      () => true,
      (error: unknown) => !(error instanceof Error && 'code' in error && error.code === 'auth.required'),
    )
    if (works) return api
  }
  const { token } = await controlPlaneCommand<{ token: string }>(lab, repo, databaseUrlOf(lab), [
    'api-token',
    '--name',
    `lab-${Date.now()}`,
  ])
  writeAtomically(lab.tokenFile, token)
  return new ApiClient(baseUrl(lab), token)
}
