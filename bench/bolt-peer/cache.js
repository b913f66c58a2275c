// remember keeps what ask answers for a while, by key. Who asks while somebody else is
// asking waits for the same answer. Errors are not kept.
export function remember(milliseconds, ask) {
  const known = new Map();
  return async (key = '') => {
    const found = known.get(key);
    if (found && Date.now() < found.until) return found.answer;
    const entry = { answer: ask(key), until: Date.now() + milliseconds };
    if (known.size > 10_000) known.clear();
    known.set(key, entry);
    try {
      return await entry.answer;
    } catch (error) {
      if (known.get(key) === entry) known.delete(key);
      throw error;
    }
  };
}
