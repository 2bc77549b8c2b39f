import { buildSecrets, fileSync, sshForward, upload } from '@berth/proto'
import { type Metadata, Server, status } from '@grpc/grpc-js'

const { Packet_PacketType: Kind, Packet } = fileSync

/** Node gives repeated headers as one. */
const listOf = (metadata: Metadata, key: string): readonly string[] =>
  metadata.get(key).flatMap((value) => String(value).split(', '))

export interface BuildClientOptions {
  readonly files?: Readonly<Record<string, string>>
  /** What `docker build -` has. */
  readonly stdin?: Buffer
  /** Told of each file whose content is asked for. */
  readonly onContent?: (path: string) => void
  /** Told of each look at the files, with what the builder said of it. */
  readonly onFiles?: (metadata: Readonly<Record<string, unknown>>) => void
}

/** What docker's clients serve on the connection that they made for a session: these files, and one of each of the rest. */
export function buildClient({ files = {}, stdin, onFiles, onContent }: BuildClientOptions = {}): Server {
  const server = new Server()
  server.addService(fileSync.FileSyncService, <fileSync.FileSyncServer>{
    diffCopy: (call) => {
      const { metadata } = call
      onFiles?.(metadata.getMap())
      const [name] = metadata.get('dir-name')
      if (name !== 'context' && name !== 'dockerfile')
        return call.emit('error', { code: status.NOT_FOUND, details: `no access allowed to dir "${name}"` })
      const only = listOf(metadata, 'followpaths')
      const excludes = listOf(metadata, 'exclude-patterns')
      const sent = Object.keys(files)
        .filter((path) => (only.length === 0 || only.includes(path)) && !excludes.includes(path))
        .sort()
      const bodyOf = (id: number) => Buffer.from(files[sent[id] ?? ''] ?? '')
      for (const [id, path] of sent.entries())
        call.write(
          Packet.fromPartial({
            type: Kind.PACKET_STAT,
            stat: { path, mode: 0o644, size: BigInt(bodyOf(id).length) },
          }),
        )
      call.write(Packet.fromPartial({ type: Kind.PACKET_STAT }))
      call.on('data', ({ type, id }: fileSync.Packet) => {
        if (type === Kind.PACKET_REQ) {
          onContent?.(sent[id] ?? '')
          call.write(Packet.fromPartial({ type: Kind.PACKET_DATA, id, data: bodyOf(id) }))
          call.write(Packet.fromPartial({ type: Kind.PACKET_DATA, id }))
        }
        if (type === Kind.PACKET_FIN)
          call.write(Packet.fromPartial({ type: Kind.PACKET_FIN }), () => call.end())
      })
    },
  })
  server.addService(upload.UploadService, <upload.UploadServer>{
    pull: (call) => {
      if (!stdin || call.metadata.get('urlpath')[0] !== '/stdin')
        return call.emit('error', { code: status.NOT_FOUND, details: 'no such upload' })
      call.write({ data: stdin })
      call.end()
    },
  })
  server.addService(fileSync.AuthService, <fileSync.AuthServer>{
    credentials: ({ request: { host } }, done) => {
      if (host === 'registry-1.docker.io') return done(null, { username: 'me', secret: 'word' })
      done(null, { username: '', secret: host === 'token.example.com' ? 'refresh' : '' })
    },
  })
  server.addService(buildSecrets.SecretsService, <buildSecrets.SecretsServer>{
    getSecret: ({ request: { id } }, done) =>
      id === 'known'
        ? done(null, { data: Buffer.from('value') })
        : done({ code: status.NOT_FOUND, details: 'no' }),
  })
  server.addService(sshForward.SSHService, <sshForward.SSHServer>{
    checkAgent: ({ request: { id } }, done) =>
      id === 'default' ? done(null, {}) : done({ code: status.UNKNOWN, details: 'no' }),
    forwardAgent: (call) => {
      const id = String(call.metadata.get('buildkit.ssh.id')[0])
      call.on('data', ({ data }: sshForward.BytesMessage) =>
        call.write({ data: Buffer.from(`${id} said ${Buffer.from(data)}`) }),
      )
      call.on('end', () => call.end())
    },
  })
  return server
}
