package org.dit4j.checkpoint;

/**
 * Which checkpoints stay.
 *
 * @param last so many of the newest
 * @param every and those of steps that are multiples of it; 0 is none
 */
public record Retention(int last, long every) {
    public Retention {
        if (last < 1 || every < 0)
            throw new IllegalArgumentException("keep the last " + last + " checkpoints and those of every " + every
                    + " steps: the first is at least 1, the second 0 (none) or more");
    }

    boolean keeps(long step) {
        return every > 0 && step % every == 0;
    }
}
