// A page may set properties of an element before its class is there.

/** Those are the object's own and hide what the class has for them: they are set again, now by its setters. */
export function upgradeProperties(element: object, names: readonly string[]): void {
  for (const name of names) {
    const own = Reflect.getOwnPropertyDescriptor(element, name);
    if (!own) continue;
    Reflect.deleteProperty(element, name);
    Reflect.set(element, name, own.value);
  }
}
