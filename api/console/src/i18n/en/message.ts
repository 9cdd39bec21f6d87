const message = {
  title: "Message",
};

export default message;
