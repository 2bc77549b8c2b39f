import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import { fault } from '@berth/core'

interface RawHandle {
  open(fd: number): number
}
interface PipeWrap {
  readonly Pipe: new (type: number) => RawHandle
  readonly constants: { readonly SOCKET: number }
}

/**
 * A descriptor of a kind that node:net does not know (a packet socket, inotify), read and written by the event loop. The socket owns the
 * descriptor, which must not block. One read of the kernel is one `data` event as long as the socket flows (docs/adr/0008).
 */
export function socketOn(fd: number): Socket {
  const { Pipe, constants } = Reflect.apply(Reflect.get(process, 'binding'), process, [
    'pipe_wrap',
  ]) as PipeWrap
  const handle = new Pipe(constants.SOCKET)
  const refusal = handle.open(fd)
  if (refusal !== 0) {
    closeSync(fd)
    throw fault.internal('host.syscall', `the event loop refuses descriptor ${fd}: ${refusal}`)
  }
  return new Socket({
    handle,
    readable: true,
    writable: true,
    allowHalfOpen: true,
  } as object as ConstructorParameters<typeof Socket>[0])
}
