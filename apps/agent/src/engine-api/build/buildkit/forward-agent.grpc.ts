import type { Socket } from 'node:net'
import type { sshForward } from '@berth/proto'
import { Metadata } from '@grpc/grpc-js'

/** Leads one connection to an agent of the client's. */
export function forwardToClient(agents: sshForward.SSHClient, id: string, connection: Socket): void {
  const metadata = new Metadata()
  metadata.set('buildkit.ssh.id', id)
  const call = agents.forwardAgent(metadata)
  call.on('error', () => connection.destroy())
  call.on('data', ({ data }: sshForward.BytesMessage) => {
    if (!connection.write(data)) {
      call.pause()
      connection.once('drain', () => call.resume())
    }
  })
  call.on('end', () => connection.end())
  connection.on('data', (data: Buffer) => {
    if (!call.write({ data })) {
      connection.pause()
      call.once('drain', () => connection.resume())
    }
  })
  connection.on('end', () => call.end()).on('close', () => call.cancel())
}
