const SECRET = /(^|_)(apikey|auth|credential|credentials|key|password|pword|passwd|secret|token)(_|$)/i
const NOT_SECRET = /(^|_)public(_|$)/i

/** Whether a variable is for a secret by its name. */
export const isSecretName = (name: string): boolean => SECRET.test(name) && !NOT_SECRET.test(name)

/** The same variables; of those for secrets only that there was a value. */
export const withoutSecretValues = (
  args: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(args).map(([name, value]) => [name, isSecretName(name) ? '[not kept]' : value]),
  )
