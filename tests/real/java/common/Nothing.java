import java.lang.reflect.Proxy;

/** Stands in for ZooKeeper's part of the cluster state, which is not under test. */
final class Nothing {
    private Nothing() {
    }

    /** An object of an interface whose methods do nothing and return null. */
    static <T> T of(Class<T> type) {
        Object proxy = Proxy.newProxyInstance(
            type.getClassLoader(), new Class<?>[] {type}, (self, method, args) -> null);
        return type.cast(proxy);
    }
}
