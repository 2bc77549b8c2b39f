import { fault } from '@berth/core'

/** A hole in the facade while its room is being built; none may be left on main. */
export const unbuilt = (what: string) => (): never => {
  throw fault.unimplemented('runtime.unbuilt', `${what} is not built yet`)
}
