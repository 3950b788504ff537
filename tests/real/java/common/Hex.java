/** Bytes as words of a line; no byte at all is "-". */
final class Hex {
    private Hex() {
    }

    static String encode(byte[] bytes) {
        StringBuilder digits = new StringBuilder();
        for (byte value : bytes) {
            digits.append(String.format("%02x", value));
        }
        return digits.length() == 0 ? "-" : digits.toString();
    }

    static byte[] decode(String word) {
        String digits = word.equals("-") ? "" : word;
        byte[] bytes = new byte[digits.length() / 2];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) Integer.parseInt(digits.substring(2 * i, 2 * i + 2), 16);
        }
        return bytes;
    }
}
