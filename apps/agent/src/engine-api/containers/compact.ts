/** The object without the fields that are undefined, so that absent stays absent. */
export function compact<T extends object>(value: { readonly [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as T
}

/** Go's zero values mean "not said". */
export const unlessZero = (value: number | undefined): number | undefined => value || undefined
export const unlessEmpty = <T extends string | readonly unknown[]>(value: T | undefined): T | undefined =>
  value?.length ? value : undefined
