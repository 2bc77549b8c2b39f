import { createHash } from 'node:crypto'
import { createReadStream, mkdirSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sh } from './lab.js'

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'

/** Packs a root file system into an OCI image layout by the specification alone, without any of Berth's code: an image from elsewhere. */
export async function packLayout(
  rootfs: string,
  dir: string,
  config: { readonly Cmd: readonly string[]; readonly Env?: readonly string[] },
): Promise<void> {
  const blobs = join(dir, 'blobs', 'sha256')
  mkdirSync(blobs, { recursive: true })
  const tar = join(dir, 'layer.tar')
  await must('tar', ['-C', rootfs, '--numeric-owner', '-cf', tar, '.'])
  const diffId = await sha256(tar)
  await must('gzip', ['-1', tar])
  const layer = await sha256(`${tar}.gz`)
  const size = statSync(`${tar}.gz`).size
  renameSync(`${tar}.gz`, join(blobs, layer))
  const put = (value: unknown): { digest: string; size: number } => {
    const text = JSON.stringify(value)
    const digest = createHash('sha256').update(text).digest('hex')
    writeFileSync(join(blobs, digest), text)
    return { digest: `sha256:${digest}`, size: Buffer.byteLength(text) }
  }
  const image = put({
    architecture: 'amd64',
    os: 'linux',
    config,
    rootfs: { type: 'layers', diff_ids: [`sha256:${diffId}`] },
  })
  const manifest = put({
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...image },
    layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: `sha256:${layer}`, size }],
  })
  writeFileSync(join(dir, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))
  writeFileSync(
    join(dir, 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [{ mediaType: MANIFEST, ...manifest }] }),
  )
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

export async function must(file: string, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await sh(file, args)
  if (code !== 0) throw new Error(`${file} ${args.slice(0, 3).join(' ')}: ${stderr || stdout}`)
  return stdout
}

/** The Debian mirror this machine installs from. */
export async function debianMirror(): Promise<string> {
  const sites = await must('apt-get', ['indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages'])
  const mirror = sites.split('\n').find((site) => /^https?:/.test(site) && !/security/.test(site))
  if (!mirror) throw new Error('apt has no Debian mirror to bootstrap from: run apt-get update')
  return mirror
}
