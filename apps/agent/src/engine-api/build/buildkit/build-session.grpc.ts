import { Fault, fault } from '@berth/core'
import { buildSecrets, fileSync, sshForward, upload } from '@berth/proto'
import type { RegistryAuth } from '@berth/runtime'
import { credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js'
import { type Compare, type PacketStream, receiveArchive } from './receive-archive.js'

/** Which of a client's files. */
export interface FileFilter {
  /** `context` or `dockerfile`. */
  readonly dir: string
  readonly excludes?: readonly string[]
  /** These alone, and where their links lead. */
  readonly only?: readonly string[]
}

/** docker's own registry, as its clients know it. */
const DEFAULT_HOST = 'registry-1.docker.io'
/** What a client serves to its build, over the connection that it gave for that. */
export class BuildSession {
  private readonly files: fileSync.FileSyncClient
  private readonly auth: fileSync.AuthClient
  private readonly secrets: buildSecrets.SecretsClient
  private readonly uploads: upload.UploadClient
  readonly agents: sshForward.SSHClient

  /** @param methods that the client says it serves, e.g. `/moby.filesync.v1.FileSync/DiffCopy` */
  constructor(
    address: string,
    private readonly methods: ReadonlySet<string>,
    /** What the client calls the place that it builds from; empty when it does not say. */
    readonly sharedKey = '',
  ) {
    const insecure = credentials.createInsecure()
    this.files = new fileSync.FileSyncClient(address, insecure)
    // One connection for all of them.
    const channelOverride = this.files.getChannel()
    // At once, since only a connection that is read tells its end.
    channelOverride.getConnectivityState(true)
    this.auth = new fileSync.AuthClient(address, insecure, { channelOverride })
    this.secrets = new buildSecrets.SecretsClient(address, insecure, { channelOverride })
    this.uploads = new upload.UploadClient(address, insecure, { channelOverride })
    this.agents = new sshForward.SSHClient(address, insecure, { channelOverride })
  }

  serves(method: string): boolean {
    return this.methods.has(method.toLowerCase())
  }

  /** Files as a tar archive. @throws build.session_invalid, build.context_changed, build.session_lost */
  async *archive(filter: FileFilter, signal: AbortSignal, compare?: Compare): AsyncGenerator<Uint8Array> {
    const metadata = new Metadata()
    metadata.set('dir-name', filter.dir)
    addPatterns(metadata, 'exclude-patterns', filter.excludes)
    addPatterns(metadata, 'followpaths', filter.only)
    const call = this.files.diffCopy(metadata)
    yield* following(call, receiveArchive(call as unknown as PacketStream, compare), signal)
  }

  /** An archive that the client has on its stdin, by the address it gave it. @throws build.session_lost */
  async *uploaded(address: URL, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const metadata = new Metadata()
    metadata.set('urlpath', address.pathname)
    metadata.set('urlhost', address.host)
    const call = this.uploads.pull(metadata)
    for await (const { data } of following(call, call as AsyncIterable<upload.BytesMessage>, signal))
      yield data
  }

  /** Undefined where the client has none. */
  async credentials(host: string): Promise<RegistryAuth | undefined> {
    if (!this.serves('/moby.filesync.v1.Auth/Credentials')) return undefined
    const asked = host === 'docker.io' ? DEFAULT_HOST : host
    const { username, secret } = await unary<fileSync.CredentialsResponse>((done) =>
      this.auth.credentials({ host: asked }, done),
    )
    if (secret === '') return undefined
    return username === '' ? { identityToken: secret } : { username, password: secret }
  }

  /** Undefined where the client has none of that id. */
  async secret(id: string): Promise<Buffer | undefined> {
    if (!this.serves('/moby.buildkit.secrets.v1.Secrets/GetSecret')) return undefined
    try {
      return Buffer.from(
        (await unary<buildSecrets.GetSecretResponse>((done) => this.secrets.getSecret({ id }, done))).data,
      )
    } catch (error) {
      if (Fault.is(error, 'build.session_missing')) return undefined
      throw error
    }
  }

  /** Whether the client lends an agent of that id. */
  async hasAgent(id: string): Promise<boolean> {
    if (!this.serves('/moby.sshforward.v1.SSH/CheckAgent')) return false
    return unary((done) => this.agents.checkAgent({ id }, done)).then(
      () => true,
      () => false,
    )
  }

  close(): void {
    this.files.close()
  }
}

/** Values of metadata are ASCII. What is not is escaped, and said to be: clients of before that take no escapes. */
function addPatterns(metadata: Metadata, key: string, patterns: readonly string[] = []): void {
  const isEscaped = patterns.some((pattern) => !/^[ -~]*$/.test(pattern))
  for (const pattern of patterns) metadata.add(key, isEscaped ? encodeURIComponent(pattern) : pattern)
  if (isEscaped) metadata.set(`${key}-encoded`, '1')
}

/** What a call gives; the call ends with it, or when the signal aborts. @throws the signal's reason, build.session_… */
async function* following<T>(
  call: { cancel(): void },
  parts: AsyncIterable<T>,
  signal: AbortSignal,
): AsyncGenerator<T> {
  const give = () => call.cancel()
  signal.addEventListener('abort', give, { once: true })
  try {
    yield* parts
  } catch (error) {
    signal.throwIfAborted()
    throw inWords(error)
  } finally {
    signal.removeEventListener('abort', give)
    call.cancel()
  }
}

type Done<T> = (error: ServiceError | null, answer: T) => void

const unary = <T>(ask: (done: Done<T>) => unknown): Promise<T> =>
  new Promise((resolve, reject) => {
    ask((error, answer) => (error ? reject(inWords(error)) : resolve(answer)))
  })

function inWords(error: unknown): unknown {
  const { code, details } = error as Partial<ServiceError>
  if (Fault.is(error) || typeof code !== 'number') return error
  if (code === status.NOT_FOUND) return fault.notFound('build.session_missing', String(details))
  return fault.unavailable('build.session_lost', `the client of the build cannot be asked: ${details}`, {
    cause: error,
  })
}
