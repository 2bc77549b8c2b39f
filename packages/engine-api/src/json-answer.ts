const { rawJSON } = JSON as unknown as { readonly rawJSON: (text: string) => unknown }

/** One line of JSON; bigint values are integers in it, exact. */
export const writeJsonText = (value: unknown): string =>
  JSON.stringify(value, (_key, part: unknown) => (typeof part === 'bigint' ? rawJSON(String(part)) : part))
