/** How much of a CoValue somebody has: the number of transactions by session. */

export type Sessions = Record<string, number>;

export function covers(whole: Sessions, part: Sessions): boolean {
  return Object.entries(part).every(([session, count]) => (whole[session] ?? 0) >= count);
}

export function sameSessions(a: Sessions, b: Sessions): boolean {
  return covers(a, b) && covers(b, a);
}
