import { change } from './keep.ts';
import { type Answer, withChange } from './tree.ts';

/** Brings what comes to the screen once a frame, and into the browser's storage now and then. */
export class Writing {
  text: string;
  #chatId: string;
  #turnId: string;
  #facts: Partial<Answer> = {};
  #askedAt = performance.now();
  #isTimed: boolean;
  #firstAt: number | undefined;
  #isWaiting = false;
  #keptAt = performance.now();
  #isEnded = false;

  constructor(chatId: string, turnId: string, before: string, isTimed: boolean) {
    this.#chatId = chatId;
    this.#turnId = turnId;
    this.text = before;
    this.#isTimed = isTimed;
    // How long the page was away says nothing of the model.
    if (!isTimed) this.#facts.duration = undefined;
  }

  add(text: string, facts: Partial<Answer>): void {
    Object.assign(this.#facts, facts);
    if (text) {
      this.text += text;
      const now = performance.now();
      if (this.#firstAt === undefined) {
        this.#firstAt = now;
        if (this.#isTimed) this.#facts.ttft = now - this.#askedAt;
      }
      if (this.#isTimed) this.#facts.duration = now - this.#firstAt;
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
