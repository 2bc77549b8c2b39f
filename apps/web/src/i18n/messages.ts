import { en, type Messages } from './en'
import type { Locale } from './locale'
import { zh } from './zh'

export const MESSAGES: Readonly<Record<Locale, Messages>> = { en, zh }
