import { fault } from '@berth/core'
import { type Call, familiarName, parseRegistryAuth, type Route } from '@berth/engine-api'
import { handedOver, type ImageRecord, parseReference, type Runtime } from '@berth/runtime'
import { noSuchImage } from '../no-such-image.js'
import { ProgressStream } from '../progress-stream.js'
import type { ImageEndpointDeps } from './images.controller.js'
import { inRegistryWords } from './registry-words.js'
import { TransferReport } from './transfer-report.js'

/** Images to and from registries and archives. */
export function imageTransferRoutes(deps: ImageEndpointDeps): readonly Route[] {
  return [
    {
      method: 'POST',
      path: '/images/create',
      handle: (call) => (call.query.has('fromSrc') ? importImage(deps, call) : pull(deps, call)),
    },
    { method: 'POST', path: '/images/{name...}/push', handle: (call) => push(deps, call) },
    {
      method: 'GET',
      path: '/images/get',
      handle: (call) => save(deps.runtime, call, call.query.strings('names')),
    },
    {
      method: 'GET',
      path: '/images/{name...}/get',
      handle: (call) => save(deps.runtime, call, [call.params.name ?? '']),
    },
    { method: 'POST', path: '/images/load', handle: (call) => load(deps, call) },
  ]
}

/** `repo` and `tag` as the CLI sends them; the tag may be a digest. */
export const joinReference = (repo: string, tag: string | undefined): string =>
  tag === undefined ? repo : tag.includes(':') ? `${repo}@${tag}` : `${repo}:${tag}`

const authOf = (call: Call) => {
  const auth = parseRegistryAuth(call.headers['x-registry-auth'])
  return auth === undefined ? {} : { auth }
}

/** `docker pull`; without a tag every tag of the repository, which is how the CLI asks for `--all-tags`. */
async function pull(deps: ImageEndpointDeps, call: Call): Promise<void> {
  const name = call.query.string('fromImage') ?? ''
  const tag = call.query.string('tag')
  const isWhole = tag !== undefined || name.includes('@') || /:[^/]*$/.test(name)
  const tags = isWhole ? [tag] : await tagsOf(deps, call, name)
  const out = new ProgressStream(call)
  await out.run(async () => {
    for (const one of tags) await pullOne(deps, call, joinReference(name, one), out)
  })
}

const tagsOf = ({ runtime }: ImageEndpointDeps, call: Call, name: string) =>
  runtime.images.tags(name, { ...authOf(call), signal: call.signal }).catch((error: unknown) => {
    throw inRegistryWords(error, name)
  })

async function pullOne(
  { runtime, nowMs }: ImageEndpointDeps,
  call: Call,
  text: string,
  out: ProgressStream,
): Promise<void> {
  const reference = parseReference(text)
  const before = await runtime.images.find(text)
  const platform = call.query.string('platform')
  const report = new TransferReport('pull')
  const repository = `${reference.host}/${reference.repository}`
  let isAnnounced = false
  const announce = () => {
    if (!isAnnounced)
      out.tell({
        status: `Pulling from ${familiarName(repository)}`,
        id: reference.digest ?? reference.tag ?? '',
      })
    isAnnounced = true
  }
  const pulling = runtime.images.pull(text, {
    ...authOf(call),
    ...(platform === undefined ? {} : { platform }),
    signal: call.signal,
    onProgress: (progress) => {
      for (const line of report.lines(progress, nowMs())) {
        announce()
        out.tell(line)
      }
    },
  })
  const image = await pulling.catch((error: unknown) => {
    throw inRegistryWords(error, text)
  })
  announce()
  const word = before?.id === image.id ? 'Image is up to date for' : 'Downloaded newer image for'
  out.tell({ status: `Digest: ${digestFor(image, repository)}` })
  out.tell({ status: `Status: ${word} ${familiarName(text)}` })
}

/** What the registry calls it: an index's digest where there is one. */
function digestFor(image: ImageRecord, repository: string): string {
  const known = image.repositoryDigests.find((entry) => entry.startsWith(`${repository}@`))
  return known?.slice(repository.length + 1) ?? image.manifestDigest
}

async function push({ runtime, nowMs }: ImageEndpointDeps, call: Call): Promise<void> {
  const name = call.params.name ?? ''
  const tag = call.query.string('tag')
  const references = tag === undefined ? await referencesOf(runtime, name) : [joinReference(name, tag)]
  for (const reference of references)
    if (!(await runtime.images.find(reference)))
      throw fault.notFound(
        'image.not_found',
        `An image does not exist locally with the tag: ${familiarName(bareName(name))}`,
      )
  const out = new ProgressStream(call)
  await out.run(async () => {
    out.tell({ status: `The push refers to repository [${familiarName(bareName(name))}]` })
    for (const reference of references) {
      const report = new TransferReport('push')
      const { digest, sizeBytes } = await runtime.images
        .push(reference, {
          ...authOf(call),
          signal: call.signal,
          onProgress: (progress) => {
            for (const line of report.lines(progress, nowMs())) out.tell(line)
          },
        })
        .catch((error: unknown) => {
          throw inRegistryWords(error, reference)
        })
      const pushed = parseReference(reference).tag ?? ''
      out.tell({ status: `${pushed}: digest: ${digest} size: ${sizeBytes}` })
      out.tell({ progressDetail: {}, aux: { Tag: pushed, Digest: digest, Size: sizeBytes } })
    }
  })
}

const bareName = (name: string): string => {
  const { host, repository } = parseReference(name)
  return `${host}/${repository}`
}

/** Every tag of a repository. @throws image.not_found */
async function referencesOf(runtime: Runtime, name: string): Promise<readonly string[]> {
  const repository = bareName(name)
  const images = await runtime.images.list()
  const found = images.flatMap((image) =>
    image.references.filter((reference) => bareName(reference) === repository),
  )
  if (found.length === 0)
    throw fault.notFound(
      'image.not_found',
      `An image does not exist locally with the tag: ${familiarName(repository)}`,
    )
  return found
}

async function save(runtime: Runtime, call: Call, names: readonly string[]): Promise<void> {
  for (const name of names) if (!(await runtime.images.find(name))) throw noSuchImage(name)
  const archive = await runtime.images.save(names, call.signal)
  const stream = call.stream('application/x-tar')
  for await (const chunk of archive) await stream.write(chunk)
  await stream.end()
}

async function load({ runtime, nowMs }: ImageEndpointDeps, call: Call): Promise<void> {
  const out = new ProgressStream(call)
  const report = new TransferReport('load')
  const isQuiet = call.query.bool('quiet')
  await out.run(async () => {
    const images = await runtime.images.load(handedOver(call.body), {
      signal: call.signal,
      onProgress: (progress) => {
        if (isQuiet) return
        for (const line of report.lines(progress, nowMs())) out.tell(line)
      },
    })
    for (const image of images) {
      for (const name of image.references) out.tell({ stream: `Loaded image: ${familiarName(name)}\n` })
      if (image.references.length === 0) out.tell({ stream: `Loaded image ID: ${image.id}\n` })
    }
  })
}

async function importImage({ runtime }: ImageEndpointDeps, call: Call): Promise<void> {
  const source = call.query.string('fromSrc') ?? '-'
  if (source !== '-')
    throw fault.unimplemented(
      'engine.import_url',
      `an image cannot be imported from a URL: fetch ${source.slice(0, 200)} and pipe it to docker import -`,
    )
  const repo = call.query.string('repo')
  const message = call.query.string('message')
  const out = new ProgressStream(call)
  await out.run(async () => {
    const image = await runtime.images.import(handedOver(call.body), {
      changes: call.query.strings('changes'),
      signal: call.signal,
      ...(repo === undefined ? {} : { reference: joinReference(repo, call.query.string('tag')) }),
      ...(message === undefined ? {} : { comment: message }),
    })
    out.tell({ status: image.id })
  })
}
