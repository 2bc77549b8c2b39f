import type { IdShift } from './requests.js'

const NOBODY = 65_534

/** An id on the host as the container has it. */
export const idInside = (id: number, shift: IdShift | undefined): number => {
  if (!shift) return id
  return id >= shift.hostId && id < shift.hostId + shift.size ? id - shift.hostId : NOBODY
}

/** An id of the container as the host has it. */
export const idOutside = (id: number, shift: IdShift | undefined): number => {
  if (!shift) return id
  return shift.hostId + (id < shift.size ? id : NOBODY)
}
