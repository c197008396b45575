/** How much of a CoValue somebody has: the number of transactions by session. */

export type Sessions = Record<string, number>;

/** Whether a session holds a CoValue's deletion and nothing else, as the SDK names those. */
export function isDeletion(session: string): boolean {
  return session.endsWith("$");
}

export function covers(whole: Sessions, part: Sessions): boolean {
  return Object.entries(part).every(([session, count]) => (whole[session] ?? 0) >= count);
}

export function sameSessions(a: Sessions, b: Sessions): boolean {
  return covers(a, b) && covers(b, a);
}
