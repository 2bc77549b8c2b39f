import { type Fault, fault } from '@berth/core'

/** docker names what was looked for with the tag it looked under. */
export function noSuchImage(name: string): Fault {
  const isBare = !name.includes('@') && !/:[^/]*$/.test(name)
  const text = isBare && !/^[0-9a-f]{12,64}$/.test(name) ? `${name}:latest` : name
  return fault.notFound('image.not_found', `No such image: ${text}`, { params: { image: name } })
}
