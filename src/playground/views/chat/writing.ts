import { change } from './keep.ts';
import { type Answer, withChange } from './tree.ts';

/** Brings what comes to the screen once a frame, and into the browser's storage now and then. */
export class Writing {
  /** What stood there when it was taken up, which stays until it has been told again. */
  #standing: string | undefined;
  #text: string;
  #chatId: string;
  #turnId: string;
  #facts: Partial<Answer> = {};
  #askedAt = performance.now();
  #firstAt: number | undefined;
  #isWaiting = false;
  #keptAt = performance.now();
  #isEnded = false;

  /**
   * @param before what the answer goes on after
   * @param standing of an answer that is taken up, and told from its beginning
   */
  constructor(chatId: string, turnId: string, before: string, standing?: string) {
    this.#chatId = chatId;
    this.#turnId = turnId;
    this.#text = before;
    this.#standing = standing;
    // How long the page was away says nothing of the model.
    if (this.isTakenUp) this.#facts.duration = undefined;
  }

  get isTakenUp(): boolean {
    return this.#standing !== undefined;
  }

  get text(): string {
    const standing = this.#standing ?? '';
    return this.#text.length < standing.length ? standing : this.#text;
  }

  add(text: string, facts: Partial<Answer>): void {
    Object.assign(this.#facts, facts);
    if (text) {
      this.#text += text;
      const now = performance.now();
      if (this.#firstAt === undefined) {
        this.#firstAt = now;
        if (!this.isTakenUp) this.#facts.ttft = now - this.#askedAt;
      }
      if (!this.isTakenUp) this.#facts.duration = now - this.#firstAt;
    }
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    // A tab that is not shown has no frames; its answers come all the same.
    if (document.visibilityState === 'hidden') setTimeout(() => this.#write(false), 250);
    else requestAnimationFrame(() => this.#write(false));
  }

  end(facts: Partial<Answer>): void {
    Object.assign(this.#facts, facts);
    this.#write(true);
    this.#isEnded = true;
  }

  #write(keepNow: boolean): void {
    this.#isWaiting = false;
    if (this.#isEnded) return;
    const isTime = performance.now() - this.#keptAt > 1_000;
    if (isTime) this.#keptAt = performance.now();
    const { text } = this;
    const facts = { ...this.#facts };
    change(
      this.#chatId,
      (chat) =>
        withChange(chat, this.#turnId, (turn) => ({ ...turn, text, answer: { ...turn.answer!, ...facts } })),
      keepNow || isTime,
    );
  }
}
