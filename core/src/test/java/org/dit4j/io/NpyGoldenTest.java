package org.dit4j.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.dit4j.Golden;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Files that NumPy wrote: the first rows of the reference features in several layouts, statistics, and image sets. */
@ExtendWith(Golden.Cases.class)
class NpyGoldenTest {
    @Test
    void theBigEndianFloatsAreTheFortranDoublesRounded() throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Tensor fortran = Npy.read(Golden.path("metrics/fortran.npy"));
            Tensor big = Npy.read(Golden.path("metrics/big_endian.npy"));
            assertTrue(Npy.header(Golden.path("metrics/fortran.npy")).fortran());
            assertTrue(Npy.header(Golden.path("metrics/big_endian.npy")).bigEndian());
            // no tolerance: a double rounds to a float in one way
            Golden.assertClose("big_endian.npy", fortran.to(ScalarType.Float), big, 0);
            Tensor asIfC = fortran.t().contiguous().view(fortran.shape());
            Golden.assertRejected("Fortran order read as C order", big, asIfC, 0.1);
        }
    }

    @Test
    void theFortranArrayHoldsTheFirstReferenceFeatures() throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Tensor fortran = Npy.read(Golden.path("metrics/fortran.npy"));
            Tensor features = Golden.tensors("metrics/features.safetensors").get("ref");
            Golden.assertClose("fortran.npy", features.narrow(0, 0, fortran.size(0)), fortran, 0);
        }
    }

    @Test
    void theStatisticsAreThoseOfTheReferenceFeatures() throws IOException {
        try (TensorScope scope = new TensorScope()) {
            Map<String, Tensor> stats = Npz.read(Golden.path("metrics/stats.npz"));
            Tensor features = Golden.tensors("metrics/features.safetensors").get("ref");
            // float64 sums in another order
            Golden.assertClose("mu", stats.get("mu"), features.mean(new long[] {0}, false, null), 1e-12);
            Tensor fewer = features.narrow(0, 1, features.size(0) - 1);
            Golden.assertRejected("mu without a row", stats.get("mu"), fewer.mean(new long[] {0}, false, null), 1e-12);
        }
    }

    @Test
    void imageSetsComeTheSameWholeAndByRows() throws IOException {
        for (String name : Golden.list("metrics", ".npz")) {
            if (!name.startsWith("images")) continue;
            try (TensorScope scope = new TensorScope()) {
                Tensor whole = Npz.read(Golden.path("metrics/" + name + ".npz")).get("arr_0");
                assertEquals(ScalarType.Byte, Dtypes.of(whole));
                assertEquals(4, whole.dim());
                ByteArrayOutputStream pieces = new ByteArrayOutputStream();
                try (NpyRows rows = Npz.rows(Golden.path("metrics/" + name + ".npz"), "arr_0")) {
                    for (Tensor piece = rows.next(5); piece != null; piece = rows.next(5))
                        pieces.writeBytes(Tensors.toBytes(piece));
                }
                assertArrayEquals(Tensors.toBytes(whole), pieces.toByteArray(), name);
                Golden.ran();
            }
        }
    }
}
