#pragma once

#include <cstddef>

#include "base/assert.h"

namespace weir {

// A link that an object embeds, once per list it can be in, told apart by Tag. Unlinks itself when destroyed.
template <typename Tag>
class ListNode {
 public:
  ListNode() = default;
  ListNode(const ListNode&) = delete;
  ListNode& operator=(const ListNode&) = delete;
  ~ListNode() { unlink(); }

  bool linked() const { return next_ != nullptr; }

  void unlink() {
    if (next_ == nullptr) return;
    previous_->next_ = next_;
    next_->previous_ = previous_;
    previous_ = next_ = nullptr;
  }

 private:
  template <typename T, typename AnyTag>
  friend class IntrusiveList;

  ListNode* previous_ = nullptr;
  ListNode* next_ = nullptr;
};

// A doubly linked list of objects it does not own. T derives from ListNode<Tag>. No allocation; all operations O(1).
template <typename T, typename Tag>
class IntrusiveList {
  using Node = ListNode<Tag>;

 public:
  IntrusiveList() { head_.previous_ = head_.next_ = &head_; }
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;
  ~IntrusiveList() {
    while (!empty()) static_cast<Node&>(front()).unlink();
    head_.next_ = head_.previous_ = nullptr;
  }

  bool empty() const { return head_.next_ == &head_; }
  T& front() { return to_object(head_.next_); }
  T& back() { return to_object(head_.previous_); }

  void push_back(T& object) { insert(head_.previous_, object, &head_); }
  void push_front(T& object) { insert(&head_, object, head_.next_); }
  // Behind the last one that it does not have to stand before; looks from the end. O(1) where it belongs at the end.
  template <typename Before>
  void insert_sorted(T& object, Before&& before) {
    Node* previous = head_.previous_;
    while (previous != &head_ && before(object, to_object(previous))) previous = previous->previous_;
    insert(previous, object, previous->next_);
  }

  T* pop_front() {
    if (empty()) return nullptr;
    T& object = front();
    static_cast<Node&>(object).unlink();
    return &object;
  }

  // Moves everything of `other` to the end of this list.
  void splice_back(IntrusiveList& other) {
    if (other.empty()) return;
    Node* first = other.head_.next_;
    Node* last = other.head_.previous_;
    other.head_.previous_ = other.head_.next_ = &other.head_;
    first->previous_ = head_.previous_;
    head_.previous_->next_ = first;
    last->next_ = &head_;
    head_.previous_ = last;
  }

  // Calls visit(T&) for each; visit may unlink the object it is given, but no other.
  template <typename Visit>
  void for_each(Visit&& visit) {
    for (Node* node = head_.next_; node != &head_;) {
      Node* next = node->next_;
      visit(to_object(node));
      node = next;
    }
  }

 private:
  static T& to_object(Node* node) { return static_cast<T&>(*node); }

  static void insert(Node* before, T& object, Node* after) {
    Node& node = object;
    WEIR_ASSERT(!node.linked());
    node.previous_ = before;
    node.next_ = after;
    before->next_ = &node;
    after->previous_ = &node;
  }

  Node head_;
};

}  // namespace weir
