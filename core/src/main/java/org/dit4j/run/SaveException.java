package org.dit4j.run;

import java.io.IOException;

/** A checkpoint that had to be written could not be; those before it are whole. */
public class SaveException extends IOException {
    private static final long serialVersionUID = 1;

    public SaveException(IOException cause) {
        super(cause.getMessage(), cause);
    }
}
