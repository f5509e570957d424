import software.amazon.awssdk.services.sts.StsClient;

/**
 * One client of the AWS SDK for Java, made once, that calls STS for as many seconds as it is told;
 * 0: one call.
 */
public final class Client {
  public static void main(String[] arguments) throws InterruptedException {
    long seconds = nanos(arguments[0]);
    long pause = nanos(arguments[1]);
    int calls = 0;
    int failed = 0;
    String firstError = null;
    try (StsClient sts = StsClient.create()) {
      long begin = System.nanoTime();
      while (true) {
        calls++;
        try {
          sts.getCallerIdentity();
        } catch (RuntimeException error) {
          failed++;
          firstError = firstError == null ? error.toString() : firstError;
        }
        if (System.nanoTime() - begin + pause >= seconds) {
          break;
        }
        Thread.sleep(pause / 1_000_000);
      }
    }
    System.out.printf(
        "{\"calls\": %d, \"failed\": %d, \"first_error\": %s}%n", calls, failed, quoted(firstError));
  }

  private static long nanos(String seconds) {
    return (long) (Double.parseDouble(seconds) * 1e9);
  }

  private static String quoted(String text) {
    return text == null ? "null" : '"' + text.replaceAll("[\\\\\"\\p{Cntrl}]", " ") + '"';
  }
}
