package org.dit4j.report;

import java.io.PrintWriter;
import org.dit4j.io.Printable;

/** Where everything goes that a command says: names and metadata of others cannot steer the terminal through it. */
public final class PrintableWriter extends PrintWriter {
    private final PrintWriter raw;

    /** @param raw what is written to in the end */
    public PrintableWriter(PrintWriter raw) {
        super(raw, true);
        this.raw = raw;
    }

    /** For what is the program's own and is to steer the terminal. */
    static PrintWriter raw(PrintWriter writer) {
        return writer instanceof PrintableWriter printable ? printable.raw : writer;
    }

    @Override
    public void write(String text, int from, int length) {
        super.write(Printable.text(text.substring(from, from + length)).toCharArray());
    }

    @Override
    public boolean checkError() {
        return super.checkError() | raw.checkError();
    }
}
