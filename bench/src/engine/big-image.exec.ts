import { createHash, randomBytes } from 'node:crypto'
import { createReadStream, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '../command.exec.js'

export interface Layer {
  readonly tar: string
  readonly diffId: string
}

const LAYERS = 4
const FILES = 5_000
const FILE_BYTES = 22_500
const RANDOM_SHARE = 0.4

/** Four layers of 5,000 files each, 450 MB together, that compress to a bit less than half: much like programs and their libraries. */
export async function makeBigLayers(dir: string, signal: AbortSignal): Promise<readonly Layer[]> {
  const layers: Layer[] = []
  for (let number = 1; number <= LAYERS; number += 1) {
    const root = join(dir, `files-${number}`)
    writeFiles(join(root, `layer-${number}`))
    layers.push(await packLayer(root, join(dir, `layer-${number}.tar`), signal))
    rmSync(root, { recursive: true })
  }
  return layers
}

function writeFiles(root: string): void {
  const random = Math.floor(FILE_BYTES * RANDOM_SHARE)
  const text = Buffer.from('the quick brown fox jumps over the lazy dog and runs away. '.repeat(500))
  for (let number = 0; number < FILES; number += 1) {
    const dir = join(root, String(Math.floor(number / 100)))
    if (number % 100 === 0) mkdirSync(dir, { recursive: true })
    const rest = text.subarray(number % 60, (number % 60) + FILE_BYTES - random)
    writeFileSync(join(dir, `file-${number}`), Buffer.concat([randomBytes(random), rest]))
  }
}

export async function packLayer(root: string, tar: string, signal: AbortSignal): Promise<Layer> {
  await run('tar', ['-C', root, '--numeric-owner', '-cf', tar, '.'], { signal })
  return layerOf(tar)
}

export const layerOf = async (tar: string): Promise<Layer> => ({
  tar,
  diffId: `sha256:${await sha256Of(tar)}`,
})

export const configOf = (layers: readonly Layer[]): string =>
  JSON.stringify({
    created: '2026-01-01T00:00:00Z',
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: { Cmd: ['/bin/busybox', 'true'] },
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map((_, index) => ({
      created: '2026-01-01T00:00:00Z',
      created_by: `layer ${index + 1}`,
    })),
  })

/** An archive that `docker load` takes: manifest.json, the config, and the layers as they are. */
export async function packArchive(
  dir: string,
  name: string,
  layers: readonly Layer[],
  signal: AbortSignal,
): Promise<string> {
  const parts = join(dir, 'parts')
  mkdirSync(parts)
  const config = configOf(layers)
  const configFile = `${createHash('sha256').update(config).digest('hex')}.json`
  writeFileSync(join(parts, configFile), config)
  const Layers = layers.map(({ tar }) => tar.slice(tar.lastIndexOf('/') + 1))
  writeFileSync(
    join(parts, 'manifest.json'),
    JSON.stringify([{ Config: configFile, RepoTags: [name], Layers }]),
  )
  const archive = join(dir, 'archive.tar')
  await run('tar', ['-cf', archive, '-C', parts, configFile, 'manifest.json', '-C', dir, ...Layers], {
    signal,
  })
  rmSync(parts, { recursive: true })
  return archive
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
  return hash.digest('hex')
}
