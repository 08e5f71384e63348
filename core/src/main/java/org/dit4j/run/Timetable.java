package org.dit4j.run;

/** When what comes at a run's {@link Cadence} is due. */
final class Timetable {
    /** Of the wall time, for what comes at the cadence {@link Cadence#AUTO}. */
    static final double MAX_SHARE = 0.05;

    private final Cadence cadence;
    private final TimeShare share = new TimeShare(MAX_SHARE, System::nanoTime);

    Timetable(Cadence cadence) {
        this.cadence = cadence;
    }

    boolean isLast(long step) {
        return step >= cadence.maxSteps();
    }

    boolean toLog(long step, boolean last) {
        return isDue(cadence.logEvery(), step, last);
    }

    boolean toSave(long step) {
        return isDue(cadence.ckptEvery(), step, false);
    }

    /** Whether what comes by {@link Cadence#AUTO} may come with this log. */
    boolean hasTime(boolean logged, boolean last) {
        return logged && (last || share.isDue());
    }

    boolean toValidate(long step, boolean hasTime, boolean last) {
        return isDue(cadence.evalEvery(), step, hasTime, last);
    }

    boolean toDraw(long step, boolean hasTime, boolean last) {
        return isDue(cadence.sampleEvery(), step, hasTime, last);
    }

    void beginLook() {
        share.begin();
    }

    void endLook() {
        share.end();
    }

    private static boolean isDue(int every, long step, boolean hasTime, boolean last) {
        return every == Cadence.AUTO ? hasTime : isDue(every, step, last);
    }

    private static boolean isDue(int every, long step, boolean last) {
        return every > 0 && (last || step % every == 0);
    }
}
