export const LOCALES = ['en', 'zh'] as const
export type Locale = (typeof LOCALES)[number]
export const LOCALE_COOKIE = 'berth_locale'

/** The cookie's choice, else the first language of Accept-Language we speak, else English. */
export function chooseLocale(cookie: string | undefined, acceptLanguage: string | null): Locale {
  const chosen = LOCALES.find((locale) => locale === cookie)
  if (chosen) return chosen
  const wanted = (acceptLanguage ?? '')
    .split(',')
    .map((part) => {
      const [tag = '', quality] = part.trim().split(';q=')
      return {
        language: tag.split('-')[0]?.toLowerCase(),
        quality: quality === undefined ? 1 : Number(quality),
      }
    })
    .toSorted((a, b) => b.quality - a.quality)
  return (
    LOCALES.find(
      (locale) =>
        locale === wanted.find(({ language }) => LOCALES.some((known) => known === language))?.language,
    ) ?? 'en'
  )
}
