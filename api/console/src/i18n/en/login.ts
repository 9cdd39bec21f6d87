const login = {
  title: "Log in",
  lead: "This node controls access. Log in with an access key and its secret.",
  user: "User",
  userHint: "The name of the user: the access key of its clients.",
  secret: "Secret",
  submit: "Log in",
  wrong: "There is no such user with this secret, or the user is disabled.",
};

export default login;
