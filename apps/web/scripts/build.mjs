// next build, then the files that a standalone server needs beside it.
import { spawnSync } from 'node:child_process'
import { cpSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const result = spawnSync('next', ['build'], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, NEXT_TELEMETRY_DISABLED: '1' },
})
if (result.status !== 0) process.exit(result.status ?? 1)
const server = join(root, '.next', 'standalone', 'apps', 'web')
rmSync(join(server, '.next', 'static'), { recursive: true, force: true })
cpSync(join(root, '.next', 'static'), join(server, '.next', 'static'), { recursive: true })
