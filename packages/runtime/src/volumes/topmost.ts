/** Of mount points those that lie in no other one: the rest goes with them, and must not go before (see `unmountQuietly`). */
export const topmost = (places: readonly string[]): readonly string[] =>
  places.filter((place) => !places.some((other) => place.startsWith(`${other}/`)))
