import { writeFileSync } from 'node:fs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { containerName, docker, dockerIn, hostDir, inspect, lines, out, unique } from '../support/docker.js'
import { TINY } from '../support/images.js'

const OPEN = '127.0.0.1:5000'
const CLOSED = '127.0.0.1:5001'

/** A tag of tiny in a registry, with the repository to itself; untagged when the test is over. */
async function tagAt(registry: string): Promise<string> {
  const tag = `${registry}/${unique('app')}:v1`
  await out('tag', TINY, tag)
  onTestFinished(async () => void (await docker('rmi', '-f', tag)))
  return tag
}

describe('push and pull', () => {
  test('push tells the digest, and pull finds the image again', async () => {
    const tag = await tagAt(OPEN)
    const pushed = await out('push', tag)
    expect(pushed).toContain(`The push refers to repository [${tag.replace(/:v1$/, '')}]`)
    const [, digest = ''] = /v1: digest: (sha256:[0-9a-f]{64}) size: \d+/.exec(pushed) ?? []
    expect(digest).not.toBe('')
    await out('rmi', tag)
    const pulled = await out('pull', tag)
    expect(pulled).toContain(`Digest: ${digest}`)
    expect(pulled).toContain(`Status: Downloaded newer image for ${tag}`)
    expect((await inspect(tag, 'image')).Id).toBe((await inspect(TINY, 'image')).Id)
  })

  test('pull of what is up to date says so', async () => {
    const tag = await tagAt(OPEN)
    await out('push', tag)
    expect(await out('pull', tag)).toContain(`Status: Image is up to date for ${tag}`)
  })

  test('-q prints only the name', async () => {
    const tag = await tagAt(OPEN)
    expect(await out('push', '-q', tag)).toBe(tag)
    expect(await out('pull', '-q', tag)).toBe(tag)
  })

  test('a second push says that the layers are there', async () => {
    const tag = await tagAt(OPEN)
    await out('push', tag)
    expect(await out('push', tag)).toContain('Layer already exists')
  })

  test('pull by digest, and --digests shows it', async () => {
    const tag = await tagAt(OPEN)
    const [, digest = ''] = /digest: (sha256:[0-9a-f]{64})/.exec(await out('push', tag)) ?? []
    const byDigest = `${tag.replace(/:v1$/, '')}@${digest}`
    expect((await inspect(tag, 'image')).RepoDigests).toContain(byDigest)
    await out('rmi', tag)
    expect(await out('pull', byDigest)).toContain(`Digest: ${digest}`)
    const row = await out('images', '--digests', '--format', '{{.Tag}} {{.Digest}}', tag.replace(/:v1$/, ''))
    expect(row).toBe(`<none> ${digest}`)
    await out('rmi', byDigest)
  })

  test('pull -a takes all tags, push -a gives all', async () => {
    const tag = await tagAt(OPEN)
    const repository = tag.replace(/:v1$/, '')
    await out('tag', TINY, `${repository}:v2`)
    await out('push', '-a', repository)
    await out('rmi', tag, `${repository}:v2`)
    await out('pull', '-a', repository)
    expect((await lines('images', '--format', '{{.Tag}}', repository)).toSorted()).toEqual(['v1', 'v2'])
    await out('rmi', `${repository}:v2`)
  })

  test('run pulls what is missing, and tells', async () => {
    const tag = await tagAt(OPEN)
    await out('push', tag)
    await out('rmi', tag)
    const { code, stdout, stderr } = await docker('run', '--rm', tag, 'echo', 'ran')
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'ran\n' })
    expect(stderr).toContain(`Unable to find image '${tag}' locally`)
    expect(stderr).toContain(`Status: Downloaded newer image for ${tag}`)
  })

  test('create --pull always asks the registry although the image is there', async () => {
    const tag = await tagAt(OPEN)
    const { code, stderr } = await docker('create', '--name', containerName(), '--pull', 'always', tag)
    expect(code).not.toBe(0)
    expect(stderr).toMatch(/not found/)
  })

  test('pull of a tag or repository that is not there fails', async () => {
    const { code, stderr } = await docker('pull', `${OPEN}/nothing-here:v9`)
    expect(code).toBe(1)
    expect(stderr).toMatch(/manifest for 127\.0\.0\.1:5000\/nothing-here:v9 not found|not found/)
  })

  test('pull from where nobody listens fails', async () => {
    const { code, stderr } = await docker('pull', '127.0.0.1:5999/x')
    expect(code).toBe(1)
    expect(stderr).toMatch(/connection refused/)
  })

  test('push of what is not there fails', async () => {
    const { code, stderr } = await docker('push', `${OPEN}/no-such-image:v1`)
    expect(code).toBe(1)
    expect(stderr).toMatch(/(does not exist|tag does not exist|An image does not exist locally)/)
  })
})

describe('registries that ask who you are', () => {
  test('without a login push and pull are refused', async () => {
    const env = { DOCKER_CONFIG: hostDir() }
    const tag = await tagAt(CLOSED)
    const pushed = await dockerIn({ env }, 'push', tag)
    expect(pushed.code).toBe(1)
    expect(pushed.stderr).toMatch(/no basic auth credentials|unauthorized/)
    const pulled = await dockerIn({ env }, 'pull', tag)
    expect(pulled.code).toBe(1)
    expect(pulled.stderr).toMatch(/no basic auth credentials|unauthorized/)
  })

  test('a login with a wrong password fails', async () => {
    const { code, stderr } = await dockerIn(
      { input: 'wrong', env: { DOCKER_CONFIG: hostDir() } },
      'login',
      CLOSED,
      '-u',
      'alice',
      '--password-stdin',
    )
    expect(code).toBe(1)
    expect(stderr).toMatch(/401 Unauthorized|unauthorized/)
  })

  test('after a login push and pull work, after a logout no more', async () => {
    const env = { DOCKER_CONFIG: hostDir() }
    const login = await dockerIn({ input: 'secret', env }, 'login', CLOSED, '-u', 'alice', '--password-stdin')
    expect(login.stdout).toContain('Login Succeeded')
    const tag = await tagAt(CLOSED)
    expect((await dockerIn({ env }, 'push', tag)).code).toBe(0)
    await out('rmi', tag)
    expect((await dockerIn({ env }, 'pull', tag)).code).toBe(0)
    expect((await dockerIn({ env }, 'logout', CLOSED)).stdout).toContain(
      `Removing login credentials for ${CLOSED}`,
    )
    expect((await dockerIn({ env }, 'pull', tag)).code).toBe(1)
  })

  test('a build gets its base with the login of who asks, and none without', async () => {
    const env = { DOCKER_CONFIG: hostDir() }
    await dockerIn({ input: 'secret', env }, 'login', CLOSED, '-u', 'alice', '--password-stdin')
    const tag = await tagAt(CLOSED)
    expect((await dockerIn({ env }, 'push', tag)).code).toBe(0)
    await out('rmi', tag)
    const dir = hostDir()
    writeFileSync(`${dir}/Dockerfile`, `FROM ${tag}\nLABEL built=here\n`)
    const nobody = await dockerIn({ env: { DOCKER_CONFIG: hostDir() } }, 'build', '-q', dir)
    expect(nobody.code).not.toBe(0)
    expect(nobody.stderr).toMatch(/no basic auth credentials|unauthorized/)
    const { code, stdout } = await dockerIn({ env }, 'build', '-q', dir)
    expect(code).toBe(0)
    await docker('rmi', '-f', stdout.trim())
  })

  test('search fails where there is nothing to search', async () => {
    const { code, stderr } = await docker('search', `${OPEN}/x`)
    expect(code).toBe(1)
    expect(stderr).toMatch(/404|invalid|error/i)
  })
})
