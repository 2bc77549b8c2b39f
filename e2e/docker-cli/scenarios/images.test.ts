import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  bytes,
  containerName,
  docker,
  dockerIn,
  hostDir,
  idle,
  inspect,
  lines,
  out,
  unique,
} from '../support/docker.js'
import { ENTRY, FULL, TINY } from '../support/images.js'

/** A tag that goes when the test is over. */
function tagName(word = 'img'): string {
  const tag = `${unique(word)}:1`
  onTestFinished(async () => void (await docker('rmi', '-f', tag)))
  return tag
}

/** A new image of its own id, made by commit; removed when the test is over. */
async function ownImage(tag: string, ...changes: readonly string[]): Promise<string> {
  const name = containerName()
  await out('create', '--name', name, TINY)
  const id = await out('commit', ...changes.flatMap((change) => ['-c', change]), name, tag)
  onTestFinished(async () => void (await docker('rmi', '-f', id)))
  await out('rm', name)
  return id
}

describe('docker images', () => {
  test('has a table with the known columns', async () => {
    const [head = '', row = ''] = await lines('images', TINY)
    expect(head).toMatch(/^REPOSITORY +TAG +IMAGE ID +CREATED +SIZE$/)
    expect(row).toMatch(/^tiny +1 +[0-9a-f]{12} +.+ ago +[\d.]+MB$/)
  })

  test('takes a repository, with and without a tag', async () => {
    const format = ['--format', '{{.Repository}}:{{.Tag}}']
    expect(await lines('images', ...format, 'tiny')).toEqual([TINY])
    expect(await lines('images', ...format, 'tiny:2')).toEqual([])
    expect(await lines('images', ...format)).toEqual(expect.arrayContaining([TINY, ENTRY]))
  })

  test('-q prints short ids, --no-trunc whole ones', async () => {
    const { Id } = await inspect(TINY, 'image')
    expect(await out('images', '-q', TINY)).toBe(Id.replace('sha256:', '').slice(0, 12))
    expect(await out('images', '-q', '--no-trunc', TINY)).toBe(Id)
  })

  test('--filter reference, label, before and since', async () => {
    const format = ['--format', '{{.Repository}}:{{.Tag}}']
    expect(await lines('images', ...format, '--filter', 'reference=tiny-*:1')).toEqual(
      expect.arrayContaining([ENTRY, FULL]),
    )
    expect(await lines('images', ...format, '--filter', 'reference=tiny-*:1')).not.toContain(TINY)
    expect(await lines('images', ...format, '--filter', 'label=org.example.full=full')).toContain(FULL)
    expect(await lines('images', ...format, '--filter', 'label=org.example.full=other')).toEqual([])
    const tag = tagName()
    await ownImage(tag)
    expect(await lines('images', ...format, '--filter', `since=${TINY}`)).toContain(tag)
    expect(await lines('images', ...format, '--filter', `before=${tag}`)).toContain(TINY)
  })

  test('--filter dangling finds what has lost its name', async () => {
    const tag = tagName()
    const first = await ownImage(tag, 'LABEL n=1')
    await ownImage(tag, 'LABEL n=2')
    expect(await lines('images', '-q', '--no-trunc', '--filter', 'dangling=true')).toContain(first)
    expect(await lines('images', '-q', '--no-trunc', '--filter', 'dangling=false')).not.toContain(first)
    const row = (await lines('images', '--no-trunc', '--format', '{{.Repository}} {{.Tag}} {{.ID}}')).find(
      (line) => line.includes(first),
    )
    expect(row).toBe(`<none> <none> ${first}`)
  })

  test('a filter that is none is refused', async () => {
    const { code, stderr } = await docker('images', '--filter', 'nonsense=1')
    expect(code).toBe(1)
    expect(stderr).toMatch(/[Ii]nvalid filter '?nonsense'?/)
  })

  test('image ls --format json fields', async () => {
    const row = JSON.parse(await out('image', 'ls', '--format', '{{json .}}', TINY))
    expect(row).toMatchObject({ Repository: 'tiny', Tag: '1', Digest: '<none>' })
  })
})

describe('docker image inspect', () => {
  test('has everything the image says', async () => {
    const image = await inspect(FULL, 'image')
    expect(image).toMatchObject({
      RepoTags: [FULL],
      Author: 'berth tests',
      Created: expect.stringMatching(/^2024-01-02T03:04:05/),
      Os: 'linux',
      Architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      RootFS: { Type: 'layers', Layers: [expect.stringMatching(/^sha256:[0-9a-f]{64}$/)] },
      Config: {
        User: 'bob',
        WorkingDir: '/place',
        Labels: { 'org.example.full': 'full' },
        ExposedPorts: { '8080/tcp': {} },
        StopSignal: 'SIGUSR1',
      },
    })
    expect(image.Id).toMatch(/^sha256:[0-9a-f]{64}$/)
    expect(image.Size).toBeGreaterThan(1_000_000)
  })

  test('finds an image by id, short id and name', async () => {
    const { Id } = await inspect(TINY, 'image')
    for (const name of [Id, Id.slice(7), Id.slice(7, 19)]) expect((await inspect(name, 'image')).Id).toBe(Id)
  })

  test('of what is not there fails', async () => {
    const { code, stdout, stderr } = await docker('image', 'inspect', 'no-such-image')
    expect(code).toBe(1)
    expect(stdout.trim()).toBe('[]')
    expect(stderr).toMatch(/No such image: no-such-image/i)
  })
})

describe('tag and rmi', () => {
  test('tag gives a second name to the same image', async () => {
    const tag = tagName()
    expect(await out('tag', TINY, tag)).toBe('')
    expect((await inspect(tag, 'image')).Id).toBe((await inspect(TINY, 'image')).Id)
    expect((await inspect(TINY, 'image')).RepoTags).toEqual(expect.arrayContaining([TINY, tag]))
  })

  test('tag without a tag is latest', async () => {
    const name = unique('img')
    await out('tag', TINY, name)
    expect(await out('rmi', name)).toBe(`Untagged: ${name}:latest`)
  })

  test('tag of what is not there, or to a name that is none, fails', async () => {
    expect((await docker('tag', 'no-such-image', 'x')).stderr).toMatch(/No such image: no-such-image/)
    const { code, stderr } = await docker('tag', TINY, 'UPPER')
    expect(code).toBe(1)
    expect(stderr).toMatch(/invalid reference format: repository name .*must be lowercase/)
  })

  test('rmi of the last name deletes the image', async () => {
    const tag = tagName()
    const id = await ownImage(tag, 'LABEL a=b')
    const removed = await lines('rmi', tag)
    expect(removed).toEqual(expect.arrayContaining([`Untagged: ${tag}`, `Deleted: ${id}`]))
    expect((await docker('image', 'inspect', id)).code).toBe(1)
  })

  test('rmi of one of two names only untags', async () => {
    const tags = [tagName(), tagName()]
    const id = await ownImage(tags[0] ?? '', 'LABEL c=d')
    await out('tag', tags[0] ?? '', tags[1] ?? '')
    expect(await lines('rmi', tags[0] ?? '')).toEqual([`Untagged: ${tags[0]}`])
    expect((await inspect(tags[1] ?? '', 'image')).Id).toBe(id)
  })

  test('rmi by id of an image with two names needs -f', async () => {
    const tags = [tagName(), tagName()]
    const id = await ownImage(tags[0] ?? '', 'LABEL e=f')
    await out('tag', tags[0] ?? '', tags[1] ?? '')
    const refused = await docker('rmi', id)
    expect(refused.code).toBe(1)
    expect(refused.stderr).toMatch(/\(must be forced\) - image is referenced in multiple repositories/)
    expect(await lines('rmi', '-f', id)).toContain(`Deleted: ${id}`)
  })

  test('rmi of an image a container uses is refused, and says which', async () => {
    const tag = tagName()
    await ownImage(tag, 'LABEL g=h')
    const name = containerName()
    await out('create', '--name', name, tag)
    const { code, stderr } = await docker('rmi', tag)
    expect(code).toBe(1)
    expect(stderr).toMatch(
      /conflict: unable to remove repository reference ".+" \(must force\) - container [0-9a-f]{12} is using its referenced image [0-9a-f]{12}/,
    )
  })

  test('rmi -f cannot take away an image from a running container', async () => {
    const tag = tagName()
    const id = await ownImage(tag, 'CMD ["sleep", "1000"]')
    const name = containerName()
    await out('run', '-d', '--name', name, tag)
    const { code, stderr } = await docker('rmi', '-f', id)
    expect(code).toBe(1)
    expect(stderr).toMatch(/\(cannot be forced\) - image is being used by running container [0-9a-f]{12}/)
    await docker('rm', '-f', name)
  })

  test('rmi of an image with children is refused without its name', async () => {
    const tag = tagName()
    const parent = await ownImage(tag, 'LABEL i=j')
    const name = containerName()
    await out('create', '--name', name, tag)
    const child = await out('commit', '-c', 'LABEL k=l', name)
    await out('rm', name)
    const { code, stderr } = await docker('rmi', parent.replace('sha256:', ''))
    expect(code).toBe(1)
    expect(stderr).toMatch(/\(cannot be forced\) - image has dependent child images/)
    await out('rmi', child)
  })

  test('rmi of what is not there fails', async () => {
    const { code, stderr } = await docker('rmi', 'no-such-image')
    expect(code).toBe(1)
    expect(stderr).toMatch(/No such image: no-such-image/)
  })

  test('a container goes on when its image has lost its name', async () => {
    const tag = tagName()
    await ownImage(tag, 'CMD ["sleep", "1000"]')
    const name = containerName()
    await out('run', '-d', '--name', name, tag)
    await out('rmi', '-f', tag)
    expect((await inspect(name)).State.Running).toBe(true)
    await out('restart', '-t', '0', name)
  })
})

describe('history', () => {
  test('has a row for each step, the newest first', async () => {
    const tag = tagName()
    await ownImage(tag, 'CMD ["true"]')
    expect(await lines('history', '--format', '{{.CreatedBy}}|{{.Comment}}', tag)).toEqual([
      expect.any(String),
      'busybox|the only layer',
    ])
    const [head = ''] = await lines('history', tag)
    expect(head).toMatch(/^IMAGE +CREATED +CREATED BY +SIZE +COMMENT$/)
  })

  test('-q prints ids, <missing> where there is none', async () => {
    const tag = tagName()
    const id = await ownImage(tag, 'CMD ["false"]')
    const [first, second] = await lines('history', '-q', '--no-trunc', tag)
    expect(first).toBe(id)
    expect(second).toBeOneOf(['<missing>', (await inspect(TINY, 'image')).Id])
  })

  test('of what is not there fails', async () => {
    expect((await docker('history', 'no-such-image')).stderr).toMatch(/No such image: no-such-image/i)
  })
})

describe('save and load', () => {
  test('save and load give the same image back, with its name', async () => {
    const tag = tagName()
    const id = await ownImage(tag, 'LABEL saved=yes')
    const archive = await bytes({}, 'save', tag)
    await out('rmi', tag)
    const { stdout, code } = await dockerIn({ input: archive }, 'load')
    expect(code).toBe(0)
    expect(stdout).toContain(`Loaded image: ${tag}`)
    expect(await inspect(tag, 'image')).toMatchObject({ Id: id, Config: { Labels: { saved: 'yes' } } })
  })

  test('save of several images, to a file, is a manifest.json with all', async () => {
    const file = `${hostDir()}/saved.tar`
    await out('save', '-o', file, TINY, ENTRY)
    const text = execFileSync('tar', ['-xOf', file, 'manifest.json'], { encoding: 'utf8' })
    const manifest = JSON.parse(text) as { RepoTags: string[]; Layers: string[] }[]
    expect(manifest.flatMap(({ RepoTags }) => RepoTags).toSorted()).toEqual([ENTRY, TINY])
    expect(manifest.every(({ Layers }) => Layers.length === 1)).toBe(true)
  })

  test('load of a gzip archive', async () => {
    const file = `${hostDir()}/saved.tar.gz`
    const tag = tagName()
    await ownImage(tag, 'LABEL gz=1')
    const archive = await bytes({}, 'save', tag)
    await out('rmi', tag)
    writeFileSync(file, execFileSync('gzip', ['-1'], { input: archive, maxBuffer: 1 << 26 }))
    expect(await out('load', '-q', '-i', file)).toBe(`Loaded image: ${tag}`)
  })

  test('load of an image that was saved by its id has no name', async () => {
    const id = await ownImage(tagName(), 'LABEL by=id')
    const archive = await bytes({}, 'save', id)
    await out('rmi', '-f', id)
    const { stdout } = await dockerIn({ input: archive }, 'load')
    expect(stdout).toContain(`Loaded image ID: ${id}`)
  })

  test('load of what is no archive fails', async () => {
    const file = `${hostDir()}/not.tar`
    writeFileSync(file, readFileSync('/etc/passwd'))
    expect((await docker('load', '-i', file)).code).toBe(1)
    expect((await docker('load', '-i', '/no/such/file')).stderr).toMatch(/no such file or directory/)
  })

  test('save of what is not there fails', async () => {
    const { code, stderr } = await docker('save', '-o', `${hostDir()}/x`, 'no-such-image')
    expect(code).toBe(1)
    expect(stderr).toMatch(/No such image: no-such-image/i)
  })
})

describe('images a run cannot have', () => {
  test('--pull never does not ask a registry', async () => {
    const { code, stderr } = await docker('run', '--rm', '--pull', 'never', 'no-such-image:1', 'true')
    expect(code).toBe(125)
    expect(stderr).toMatch(/No such image: no-such-image:1/)
  })

  test('another platform than the image has is refused', async () => {
    const { code, stderr } = await docker(
      'run',
      '--rm',
      '--pull',
      'never',
      '--platform',
      'linux/s390x',
      TINY,
      'true',
    )
    expect(code).toBe(125)
    expect(stderr).toMatch(
      /(was found but does not match the specified platform|does not provide the specified platform|No such image)/,
    )
  })

  test('a name that is none is refused', async () => {
    const { code, stderr } = await docker('run', '--rm', 'Not/Valid', 'true')
    expect(code).toBe(125)
    expect(stderr).toMatch(/invalid reference format/)
  })

  test('an image by its id, short or long', async () => {
    const { Id } = await inspect(TINY, 'image')
    expect(await out('run', '--rm', Id.slice(7, 19), 'echo', 'ok')).toBe('ok')
    expect(await out('run', '--rm', Id, 'echo', 'ok')).toBe('ok')
    const name = await idle()
    expect((await inspect(name)).Image).toBe(Id)
  })
})
